"use strict";
// The interactive plot of a report: state with bands, distance from equilibrium, power, for one sample and some of its nodes.
(function () {
  // Okabe and Ito's palette, without the yellow that vanishes on white.
  const ON_LIGHT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c7a5b", "#8a8f98"];
  const ON_DARK = ["#4f9fe0", "#f0b429", "#2fc49a", "#e09cc6", "#9ad4f5", "#f0843c", "#b8a381", "#b4bac2"];
  const LEAST_BAND_PART = 1 / 30;

  const data = JSON.parse(document.getElementById("waveform-data").textContent);
  const plot = document.getElementById("waveform");
  const picker = document.getElementById("sample");
  const boxes = document.getElementById("nodes");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const time = unpack(data.time);
  const cache = new Map();
  const slots = new Map();

  /** Little-endian float32 in base64; every processor a browser runs on is little-endian. */
  function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  function sampleAt(index) {
    if (!cache.has(index)) {
      const raw = data.samples[index];
      cache.set(index, {
        settle: raw.settle, shown: raw.shown, state: unpack(raw.state), equilibrium: unpack(raw.equilibrium), power: unpack(raw.power),
      });
    }
    return cache.get(index);
  }

  function column(sample, node) {
    return Array.from(time, (_, row) => sample.state[row * data.nodes + node]);
  }

  /** Of the farthest node, all nodes counted, as the settling time is defined; kept off zero for the logarithm. */
  function distance(sample) {
    return Array.from(time, (_, row) => {
      let largest = 0;
      for (let node = 0; node < data.nodes; node++) {
        const gap = Math.abs(sample.state[row * data.nodes + node] - sample.equilibrium[node]);
        if (!(gap <= largest)) largest = gap;
      }
      return Math.max(largest, data.band * LEAST_BAND_PART / 10);
    });
  }

  function chosenNodes() {
    return Array.from(boxes.querySelectorAll("input:checked"), (box) => Number(box.value));
  }

  function palette() {
    return dark.matches ? ON_DARK : ON_LIGHT;
  }

  /** A node keeps its colour while it is shown; colours repeat only when there are more nodes than colours. */
  function assignColours(nodes) {
    for (const node of slots.keys()) if (!nodes.includes(node)) slots.delete(node);
    for (const node of nodes) {
      if (slots.has(node)) continue;
      const used = ON_LIGHT.map(() => 0);
      for (const slot of slots.values()) used[slot]++;
      slots.set(node, used.indexOf(Math.min(...used)));
    }
  }

  function colour(node) {
    return palette()[slots.get(node)];
  }

  function choose(nodes) {
    const wanted = new Set(nodes);
    for (const box of boxes.querySelectorAll("input")) box.checked = wanted.has(Number(box.value));
    draw();
  }

  function traces(sample, nodes, ink) {
    const lines = nodes.map((node) => ({
      x: time, y: column(sample, node), name: "z" + node, mode: "lines", line: { color: colour(node), width: 1.6 },
      hovertemplate: "%{y:.4f}",
    }));
    lines.push({
      x: time, y: distance(sample), yaxis: "y2", name: "distance", mode: "lines", line: { color: ink, width: 1.6 }, showlegend: false,
      hovertemplate: "%{y:.2e}",
    });
    if (data.power_unit) {
      lines.push({
        x: time, y: sample.power, yaxis: "y3", name: "power", mode: "lines", line: { color: palette()[5], width: 1.6 }, showlegend: false,
        fill: "tozeroy", fillcolor: "rgba(213,94,0,0.14)", hovertemplate: "%{y:.3g} " + data.power_unit,
      });
    }
    return lines;
  }

  /** Horizontal strip behind the data. */
  function strip(low, high, axis, colour, opacity) {
    return { type: "rect", xref: "paper", x0: 0, x1: 1, yref: axis, y0: low, y1: high, fillcolor: colour, opacity: opacity, line: { width: 0 }, layer: "below" };
  }

  function shapes(sample, nodes, good) {
    const list = nodes.map((node) => strip(
      sample.equilibrium[node] - data.band, sample.equilibrium[node] + data.band, "y", colour(node), 0.16));
    list.push(strip(data.band * LEAST_BAND_PART, data.band, "y2", good, 0.16));
    if (sample.settle !== null) {
      list.push({ type: "line", xref: "x", x0: sample.settle, x1: sample.settle, yref: "paper", y0: 0, y1: 1, line: { color: good, width: 1.5, dash: "dash" } });
    }
    return list;
  }

  function settledNote(sample, good, bad) {
    const text = sample.settle === null ? "did not settle" : "settled at " + Number(sample.settle.toPrecision(3)) + " " + data.time_unit;
    return {
      text: text, x: sample.settle === null ? 0 : sample.settle, xref: "x", y: 1, yref: "paper", yanchor: "bottom",
      xanchor: "left", showarrow: false, font: { color: sample.settle === null ? bad : good, size: 13 },
    };
  }

  function layout(sample, nodes) {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(name).trim();
    const ink = read("--ink"), line = read("--line"), good = read("--good");
    const axis = { gridcolor: line, zeroline: false, linecolor: line, automargin: true };
    const domains = data.power_unit ? [[0.5, 1], [0.235, 0.455], [0, 0.19]] : [[0.36, 1], [0, 0.31]];
    const result = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink, family: read("--sans"), size: 13 },
      margin: { l: 10, r: 10, t: 52, b: 10 }, hovermode: "x unified", hoverlabel: { bgcolor: read("--paper"), bordercolor: line },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: read("--muted"), activecolor: read("--accent") },
      legend: { orientation: "v", x: 1.01, y: 1 }, uirevision: "keep",
      xaxis: Object.assign({ title: { text: "time since power-on (" + data.time_unit + ")" }, anchor: data.power_unit ? "y3" : "y2" }, axis),
      yaxis: Object.assign({ title: { text: "state z" }, domain: domains[0] }, axis),
      yaxis2: Object.assign({ title: { text: "distance" }, tickfont: { size: 11 }, domain: domains[1], type: "log", exponentformat: "power", dtick: 1 }, axis),
      shapes: shapes(sample, nodes, good), annotations: [settledNote(sample, good, read("--bad"))],
    };
    result.yaxis2.range = [Math.log10(data.band * LEAST_BAND_PART), Math.log10(2 * Math.max(3 * data.band, ...distance(sample).filter(Number.isFinite)))];
    if (data.power_unit) {
      result.yaxis3 = Object.assign({ title: { text: "power (" + data.power_unit + ")" }, domain: domains[2], rangemode: "tozero" }, axis);
    }
    return result;
  }

  function draw() {
    const sample = sampleAt(Number(picker.value));
    const nodes = chosenNodes();
    assignColours(nodes);
    const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    Plotly.react(plot, traces(sample, nodes, ink), layout(sample, nodes), {
      responsive: true, displaylogo: false, plotlyServerURL: "",
      // Named one by one, because the default bar has a button that uploads the data.
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
    });
  }

  function fillControls() {
    data.samples.forEach((sample, index) => picker.add(new Option(sample.name, index)));
    picker.value = data.first_sample;
    for (let node = 0; node < data.nodes; node++) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.value = node;
      label.append(box, "z" + node);
      boxes.append(label);
    }
  }

  const all = Array.from({ length: data.nodes }, (_, node) => node);
  fillControls();
  picker.addEventListener("change", draw);
  boxes.addEventListener("change", draw);
  dark.addEventListener("change", draw);
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.addEventListener("click", () => choose({ all: all, none: [], first: sampleAt(Number(picker.value)).shown }[button.dataset.choice]));
  }
  choose(sampleAt(data.first_sample).shown);
})();
