"use strict";
/**
 * The curves of a page's data, drawn by plotly in the page's language and colours: each in #chart-KEY, the names of its
 * lines, which switch them off and on, in #legend-KEY.
 *
 * data: curves (key to Curve, see curves.py), other (the same of a run to compare with, may be empty), words.
 * Returns { word, drawAll }. A curve in a closed <details> is drawn when that is opened.
 */
function curveCharts(data) {
  const root = document.documentElement;
  const hidden = new Set(); // "curve line" of the lines that the reader switched off

  // ---- words and colours --------------------------------------------------------------------------------------

  function word(key, values = {}) {
    const text = (data.words[key] || [key, key])[root.lang === "en" ? 1 : 0];
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  const probe = document.body.appendChild(document.createElement("i"));
  probe.hidden = true;

  /** What a custom property of the style sheet is at present, as rgb. */
  function colour(name, opacity = 1) {
    probe.style.color = `color-mix(in srgb, var(--${name}) ${100 * opacity}%, transparent)`;
    const found = getComputedStyle(probe).color;
    const parts = found.match(/color\(srgb ([\d.e-]+) ([\d.e-]+) ([\d.e-]+)(?: \/ ([\d.e-]+))?\)/);
    if (!parts) return found;
    const [r, g, b] = parts.slice(1, 4).map((x) => Math.round(255 * x));
    return `rgba(${r},${g},${b},${parts[4] ?? 1})`;
  }

  /** Text as plotly shows it: it reads some HTML, and names come from anywhere. */
  const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

  const narrow = () => window.innerWidth < 704;
  const short = (value) => String(Number(value.toPrecision(4)));

  // ---- one figure ---------------------------------------------------------------------------------------------

  const TICKS = { loss: "", norm: "", speed: "", tokens: ",", rate: "", share: ".0%", gib: "", seconds: "", difference: "" };
  const HOVER = { loss: ".3f", norm: ".3f", speed: ".2f", tokens: ",.0f", rate: ".2e", share: ".1%", gib: ".2f", seconds: ".3~f", difference: ".2~e" };
  const BELOW = ["memory_limit", "mean_speed"]; // levels whose name stands under the line, where there is room
  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "triangle-down"];
  const PATHS = ["M17 1.5a4.5 4.5 0 1 0 .01 0", "M13 2h8v8h-8z", "M17 .8l5.2 5.2-5.2 5.2-5.2-5.2z", "M17 1l5 9h-10z", "M17 11l5-9h-10z"];

  /** A single evaluation makes no line: its values stand as bars. */
  const single = (panel) => panel.lines.every((line) => line.look === "points" && line.x.length === 1);

  function traces(curve, other, bars) {
    const drawn = [];
    for (const [run, dashed] of [[curve, false], [other, true]]) {
      if (!run) continue;
      run.panels.forEach((panel) => {
        const at = curve.panels.findIndex((own) => own.key === panel.key);
        if (at < 0) return;
        const pointed = panel.lines.filter((line) => line.look === "points");
        panel.lines.forEach((line) => {
          const i = pointed.indexOf(line);
          const axis = at ? { yaxis: `y${at + 1}` } : {};
          const faint = line.look === "faint";
          const own = plain(word(`line.${line.key}`));
          const name = faint && data.words["line.raw"] ? word("line.raw", { name: own }) : own;
          const shared = {
            ...axis,
            name: dashed ? `${name} ┄` : name,
            visible: !hidden.has(`${curve.key} ${line.key}`),
            hoverlabel: { namelength: -1 },
          };
          if (bars) {
            const y = line.y[line.y.length - 1];
            drawn.push({
              ...shared,
              type: "bar",
              orientation: "h",
              x: [y],
              y: [own],
              marker: { color: colour(line.colour, dashed ? 0.35 : 0.85) },
              text: [panel.unit === "share" ? `${(100 * y).toFixed(1)}%` : y.toFixed(3)],
              textposition: "outside",
              cliponaxis: false,
              hoverinfo: "skip",
            });
            return;
          }
          drawn.push({
            ...shared,
            type: "scatter",
            mode: { points: "lines+markers", crosses: "markers" }[line.look] || (line.x.length > 1 ? "lines" : "markers"),
            x: line.x,
            y: line.y,
            line: { color: colour(line.colour, { faint: 0.28, thin: 0.75 }[line.look] || (dashed ? 0.6 : 1)), width: { faint: 1, thin: 1.4 }[line.look] || 2.2, dash: dashed || line.dashed ? "dash" : "solid" },
            marker: { size: line.look === "crosses" ? 10 : 7.5, symbol: line.look === "crosses" ? "x" : SYMBOLS[Math.max(i, 0) % SYMBOLS.length], color: colour(dashed ? "paper" : line.colour), line: { color: colour(line.colour, dashed ? 0.6 : 1), width: dashed ? 1.6 : 0 } },
            hovertemplate: `%{y:${HOVER[panel.unit]}}`,
            hoverinfo: (faint && dashed) || line.look === "crosses" ? "skip" : undefined,
          });
        });
      });
    }
    return drawn;
  }

  function annotation(text, place, tint = "faint") {
    return { text, showarrow: false, font: { size: 11.5, color: colour(tint) }, ...place };
  }

  function layout(curve, other, bars) {
    const panels = curve.panels;
    const axis = { gridcolor: colour("rule"), linecolor: colour("rule"), zeroline: false, ticks: "", automargin: true };
    const shapes = [];
    const notes = [];
    const height = bars ? 44 * panels[0].lines.length * (other ? 1.5 : 1) + 24 : curve.height || [330, 430, 560][panels.length - 1];
    const drawn = {
      height,
      margin: { l: 52, r: 14, t: 26, b: bars ? 8 : 42, pad: 4 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("soft") },
      showlegend: false,
      hovermode: bars ? false : "x unified",
      hoversubplots: "axis",
      hoverlabel: { bgcolor: colour("sheet"), bordercolor: colour("rule"), font: { color: colour("ink"), size: 12 } },
      dragmode: matchMedia("(hover: none)").matches ? false : "zoom",
      shapes,
      annotations: notes,
    };
    if (bars) {
      const top = Math.max(...panels[0].lines.map((line) => line.y[0]));
      Object.assign(drawn, {
        margin: { l: 8, r: 48, t: 4, b: 8 },
        xaxis: { ...axis, showticklabels: false, showgrid: false, fixedrange: true, range: [0, panels[0].unit === "share" ? 1 : top * 1.05] },
        yaxis: { ...axis, autorange: "reversed", fixedrange: true, showgrid: false, ticksuffix: "  ", tickfont: { size: 12.5, color: colour("ink") } },
        barmode: "group",
        bargap: 0.42,
      });
      return drawn;
    }
    const last = Math.max(...[curve, other].filter(Boolean).flatMap((c) => c.panels.flatMap((p) => p.lines.flatMap((l) => l.x))));
    drawn.xaxis = {
      ...axis,
      title: { text: word(`axis.${curve.axis}`), standoff: 8, font: { size: 11.5, color: colour("faint") } },
      fixedrange: !drawn.dragmode,
      showgrid: false,
      spikecolor: colour("faint"),
      spikethickness: -1, // negative: without plotly's outline around it
      spikedash: "solid",
      rangemode: "tozero",
      hoverformat: curve.axis === "epoch" ? ".2~f" : ",d",
      unifiedhovertitle: { text: `${word(`axis.${curve.axis}`)} %{x}` },
      anchor: panels.length > 1 ? `y${panels.length}` : "y",
      ...(curve.axis === "epoch" && last <= 14 && last >= 2 ? { dtick: 1 } : { nticks: narrow() ? 5 : 9 }),
      ...(curve.log ? { type: "log", tickvals: [...new Set(curve.panels.flatMap((p) => p.lines.flatMap((l) => l.x)))] } : {}),
    };
    panels.forEach((panel, i) => {
      const y = i ? `y${i + 1}` : "y";
      const gap = panels.length > 2 ? 0.12 : 0.15;
      const share = (1 - gap * (panels.length - 1)) / panels.length;
      const below = (share + gap) * (panels.length - 1 - i);
      const both = [curve, other].filter(Boolean).flatMap((c) => c.panels.filter((p) => p.key === panel.key));
      const tops = both.map((p) => p.top ?? Math.max(...p.lines.flatMap((l) => l.y).filter((v) => v !== null)));
      const top = Math.max(...tops, ...panel.levels.filter((l) => panel.unit === "gib" || l.key === "mean_speed").map((l) => l.value));
      drawn[i ? `yaxis${i + 1}` : "yaxis"] = {
        ...axis,
        domain: [below, below + share],
        fixedrange: true,
        tickformat: TICKS[panel.unit],
        nticks: panels.length > 1 ? 5 : 7,
        exponentformat: "e",
        showexponent: "all",
        hoverformat: HOVER[panel.unit],
        ...(panel.log ? { type: "log", dtick: 1, tickformat: "~g" } : { range: [panel.low, panel.unit === "share" ? 1.03 : top * 1.08] }),
      };
      notes.push(annotation(word(`panel.${panel.key}`), { xref: "paper", x: 0, xanchor: "left", xshift: -44, yref: `${y} domain`, y: 1, yanchor: "bottom", yshift: 6 }));
      const beyond = Math.max(...both.map((p) => p.beyond ?? 0));
      if (beyond > top * 1.08) notes.push(annotation(word("beyond.first_steps", { value: short(beyond) }), { xref: "paper", x: 0.16, xanchor: "left", yref: `${y} domain`, y: 1, yanchor: "top" }));
      const shown = (value) => (panel.log ? Math.log10(value) : value);
      for (const band of panel.bands) {
        const high = panel.log ? band.high : Math.min(band.high, top * 1.08);
        shapes.push({ type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, yref: y, y0: band.low, y1: high, fillcolor: colour(band.colour, 0.08), line: { width: 0 } });
        notes.push(annotation(word(`band.${band.key}`), { xref: "paper", x: 1, xanchor: "right", yref: y, y: shown(high), yanchor: "top" }, band.colour));
      }
      for (const level of panel.levels) {
        if (!panel.log && level.value > top * 1.08) continue;
        shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, yref: y, y0: level.value, y1: level.value, line: { color: colour(level.colour, 0.75), width: 1.2, dash: "dot" } });
        const left = level.key !== "max_grad_norm" ? 1 : 0.5;
        notes.push(annotation(word(`level.${level.key}`, { value: short(level.value) }), { xref: "paper", x: left, xanchor: "right", yref: y, y: shown(level.value), yanchor: BELOW.includes(level.key) ? "top" : "bottom" }, level.colour === "soft" ? "soft" : level.colour));
      }
    });
    for (const region of curve.regions) {
      shapes.push({ type: "rect", layer: "below", xref: "x", x0: region.start, x1: region.end, yref: "paper", y0: 0, y1: 1, fillcolor: colour(region.colour, 0.09), line: { width: 0 } });
      notes.push(annotation(word(`region.${region.key}`), { xref: "x", x: (region.start + region.end) / 2, yref: "paper", y: 1, yanchor: "bottom", yshift: 4 }, region.colour));
    }
    for (const mark of curve.marks) {
      shapes.push({ type: "line", xref: "x", x0: mark.x, x1: mark.x, yref: "paper", y0: 0, y1: 1, line: { color: colour(mark.colour, 0.8), width: 1.4, dash: "dot" } });
      notes.push(annotation(word(`mark.${mark.key}`, { x: short(mark.x) }), { xref: "x", x: mark.x, xanchor: mark.x > 0.92 * last ? "right" : "center", yref: "paper", y: 1, yanchor: "bottom", yshift: 4 }, mark.colour));
    }
    return drawn;
  }

  // ---- all figures --------------------------------------------------------------------------------------------

  function legend(curve, bars) {
    const list = document.getElementById(`legend-${curve.key}`);
    const first = (line, i, lines) => lines.findIndex((one) => one.key === line.key) === i; // repeats have one name
    const all = curve.panels.map((panel) => panel.lines.filter((line) => !["faint", "crosses"].includes(line.look)).filter(first));
    const named = all.filter((lines) => lines.length > 1); // of a single line the panel's own name says it
    list.hidden = bars || !named.length;
    list.replaceChildren();
    named.forEach((lines) =>
      lines.forEach((line) => {
        const i = lines.filter((one) => one.look === "points").indexOf(line);
        const id = `${curve.key} ${line.key}`;
        const button = document.createElement("button");
        button.type = "button";
        button.setAttribute("aria-pressed", String(!hidden.has(id)));
        button.append(swatch(line, i), word(`line.${line.key}`));
        button.addEventListener("click", () => {
          if (!hidden.delete(id)) hidden.add(id);
          draw(curve);
        });
        const item = document.createElement("li");
        item.append(button);
        list.append(item);
      }),
    );
  }

  function swatch(line, i) {
    const make = (tag, attributes) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
      return node;
    };
    const svg = make("svg", { width: 34, height: 12, class: `key key-${line.colour}`, "aria-hidden": "true" });
    svg.append(make("line", { x1: 3, x2: 31, y1: 6, y2: 6, ...(line.dashed ? { "stroke-dasharray": "7 4" } : {}) }));
    if (i >= 0) svg.append(make("path", { d: PATHS[i % PATHS.length] }));
    return svg;
  }

  function draw(curve) {
    const other = data.other[curve.key];
    const place = document.getElementById(`chart-${curve.key}`);
    if (place.closest("details:not([open])")) return null;
    const bars = curve.axis === "epoch" && [curve, other].filter(Boolean).every((c) => c.panels.every(single));
    legend(curve, bars);
    place.setAttribute("aria-label", word(`panel.${curve.panels[0].key}`));
    // Not react: drawing over a plot loses one of two annotations on the same axes.
    return Plotly.newPlot(place, traces(curve, other, bars), layout(curve, other, bars), { displayModeBar: false, responsive: true, doubleClick: "reset" });
  }

  const drawAll = () => Promise.all(Object.values(data.curves).map(draw));

  document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", () => {
    Object.values(data.curves).filter((curve) => details.querySelector(`#chart-${curve.key}`)).forEach(draw);
  }));

  return { word, drawAll };
}
