"""The page as a browser runs it, offline."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest

from analogdeq.report.html import render_html
from analogdeq.report.pictures import draw_pictures

pytestmark = pytest.mark.chromium

PROBE = """
<script>
addEventListener("load", async () => {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 300));
  const lines = () => document.querySelectorAll("#waveform .scatterlayer .trace").length;
  const counts = [];
  for (const choice of ["first", "all", "none"]) {
    document.querySelector(`[data-choice="${choice}"]`).click();
    await pause();
    counts.push(lines());
  }
  const picker = document.getElementById("sample");
  const notes = [];
  for (const index of [0, 1]) {
    picker.value = index;
    picker.dispatchEvent(new Event("change"));
    await pause();
    notes.push(document.querySelector("#waveform .annotation-text").textContent);
  }
  document.body.dataset.counts = counts.join(" ");
  document.body.dataset.notes = notes.join("; ");
});
</script>
"""

Browser = Callable[[str], tuple[str, list[str]]]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """Open a page headless, without a network; gives the document as it ended, and what the console said."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium here")
    folder = tmp_path_factory.mktemp("chromium")

    def open_page(html: str) -> tuple[str, list[str]]:
        page = folder / "report.html"
        page.write_text(html, encoding="utf-8")
        words = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}"),
            *("--enable-logging=stderr", "--virtual-time-budget=10000", "--window-size=1200,2000", "--dump-dom"),
        ]
        done = subprocess.run([program, *words, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


@pytest.fixture(scope="module")
def html(data) -> str:
    return render_html(data, list(draw_pictures(data)))


@pytest.fixture(scope="module")
def opened(browser: Browser, html: str) -> tuple[str, list[str]]:
    return browser(html)


def test_the_page_opens_without_a_console_message_and_draws_the_waveforms(opened):
    document, console = opened
    assert console == []
    plot = document[document.index('id="waveform"') :]
    lines = re.findall(r'<g class="trace scatter[^"]*".*?<path class="js-line"[^>]*d="(M[^"]+)"', plot, re.DOTALL)
    assert len(lines) == 8 + 2  # nodes, distance, power
    assert all(len(line) > 100 for line in lines)
    assert "settled at" in plot


def test_samples_and_nodes_can_be_chosen(browser: Browser, html: str, data):
    document, console = browser(html.replace("</body>", PROBE + "</body>"))
    assert console == []
    assert 'data-counts="10 34 2"' in document
    [notes] = re.findall(r'data-notes="([^"]*)"', document)
    times = [float(f"{1e9 * t:.3g}") for t in data.waveforms.t_settle_s[:2]]
    assert [float(n) for n in re.findall(r"settled at ([\d.]+) ns", notes)] == times


def test_no_button_sends_the_data_anywhere(opened):
    document, _ = opened
    buttons = re.findall(r'class="modebar-btn[^"]*"[^>]*data-title="([^"]+)"', document)
    assert len(buttons) == 6
    assert not any(re.search("share|cloud|upload", button, re.IGNORECASE) for button in buttons)


def test_a_hostile_name_runs_nothing(browser: Browser, data, changed):
    evil = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
    run = changed(
        title=f"demo {evil}",
        scenario_toml=evil,
        waveforms=replace(data.waveforms, names=(evil,) * len(data.waveforms.names)),
    )
    document, console = browser(render_html(run, list(draw_pictures(run))))
    assert console == []
    assert "<title>demo &lt;/script&gt;" in document


def test_waveforms_of_a_bare_core_that_did_not_settle_are_drawn(browser: Browser, data, changed):
    w = data.waveforms
    bare = replace(
        w,
        trace=replace(w.trace, power_W=w.trace.power_W[..., :0], terms=()),
        supply_terms=(),
        t_settle_s=w.t_settle_s * float("nan"),
    )
    document, console = browser(render_html(changed(waveforms=bare), []))
    assert console == []
    assert "did not settle" in document
    assert document.count('class="trace scatter') >= 9
