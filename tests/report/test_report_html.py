import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from analogdeq.report.data import Assumption
from analogdeq.report.html import render_html
from analogdeq.report.pictures import draw_pictures

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'"


class Page(HTMLParser):
    """What a browser would see: elements with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def page(data) -> Page:
    return Page(render_html(data, list(draw_pictures(data))))


def test_the_page_has_every_picture_with_words_for_those_who_cannot_see_it(page):
    images = page.all("img")
    assert len(images) == 6
    assert all(image["src"].startswith("data:image/png;base64,") and image["alt"] for image in images)


def test_nothing_is_loaded_from_anywhere(page):
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:"), (tag, name, value)
    assert not page.all("iframe")
    [policy] = [m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_the_style_sheet_loads_nothing(data):
    [style] = re.findall(r"<style>(.*?)</style>", render_html(data, []), re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style


def test_assumptions_scenario_and_provenance_are_printed(page, data):
    for row in data.assumptions:
        for word in (row.name, row.value, row.meaning, row.source):
            assert word in page.text
    assert "unit_voltage_V = 0.2" in page.text
    assert data.provenance["git_commit"] in page.text


def test_everything_that_comes_from_the_run_is_escaped(data, changed):
    waveforms = replace(data.waveforms, names=(EVIL,) * len(data.waveforms.names))
    evil = changed(
        title=EVIL,
        scenario_name=EVIL,
        scenario_toml=f'title = "{EVIL}"',
        created=EVIL,
        provenance={EVIL: EVIL, "analogdeq": EVIL},
        assumptions=(Assumption(EVIL, EVIL, EVIL, EVIL),),
        energy_terms_J={EVIL: data.energy_total_J},
        waveforms=waveforms,
        metrics=[{"epoch": 0, EVIL + "loss": 1.0}],
    )
    html = render_html(evil, list(draw_pictures(evil)))
    page = Page(html)
    assert len(page.all("script")) == 3
    assert all((image["src"] or "").startswith("data:") for image in page.all("img"))
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "<script>document.title" not in html
    assert EVIL in page.text


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"waveforms": None}, "No waveforms were recorded"),
        ({"assumptions": ()}, "None were listed"),
        ({"eigenvalues": None}, "Results"),
        ({"metrics": []}, "Results"),
        ({"energy_terms_J": {}}, "Results"),
        ({"t_settle_s": np.full(240, np.nan), "verdict_code": np.full(240, 1, dtype=np.uint8)}, "No sample settled"),
        ({"accuracy_chip": None, "accuracy_ideal": None}, "Results"),
    ],
)
def test_a_run_that_lacks_something_still_has_a_page(changed, missing, said):
    assert said in Page(render_html(changed(**missing), [])).text


def test_a_run_that_recorded_no_sample_has_no_interactive_plot(data, changed):
    w = data.waveforms
    trace = replace(w.trace, sample=w.trace.sample[:0], state=w.trace.state[:, :0], power_W=w.trace.power_W[:, :0])
    none = replace(w, trace=trace, names=(), equilibrium=w.equilibrium[:0], t_settle_s=w.t_settle_s[:0])
    run = changed(waveforms=none)
    html = render_html(run, list(draw_pictures(run)))
    assert "No waveforms were recorded" in html
    assert "plotly" not in html


def test_a_page_without_waveforms_is_small(changed):
    assert len(render_html(changed(waveforms=None), [])) < 100_000
