"use strict";
// The list of samples: filtered and drawn from the embedded data. Every text goes in through textContent.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const samples = data.samples;
  const PAGE = 40;
  const NONE = "(none)";

  // ---- words and elements -------------------------------------------------------------------------------------

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (whole, key) => (key in values ? String(values[key]) : whole));

  function words(key, values = {}) {
    const both = data.words[key] || [key, key];
    return both.map((text) => fill(text, values));
  }

  const word = (key, values) => words(key, values)[root.lang === "en" ? 1 : 0];

  /** A sentence in both languages; the style sheet shows the page's. */
  function say(key, values) {
    const both = words(key, values);
    return ["ko", "en"].map((lang, i) => {
      const span = el("span", lang, both[i]);
      span.lang = lang;
      return span;
    });
  }

  function el(tag, cls, ...children) {
    const node = document.createElement(tag);
    if (cls) node.className = cls;
    node.append(...children.flat(2).filter((child) => child !== null && child !== undefined));
    return node;
  }

  function button(cls, onclick, ...children) {
    const node = el("button", cls, ...children);
    node.type = "button";
    node.addEventListener("click", onclick);
    return node;
  }

  /** A folded part whose content is made when it is first opened. */
  function fold(cls, summary, content) {
    const node = el("details", cls, summary);
    node.addEventListener("toggle", () => node.open && node.children.length === 1 && node.append(content()));
    return node;
  }

  // ---- state and filters --------------------------------------------------------------------------------------

  const EMPTY = { outcome: "all", q: "", bucket: "", lang: "", phenomenon: "", tool: "", called: "", reason: "" };
  const state = { ...EMPTY };
  let found = [];

  const outcomes = {
    all: () => true,
    right: (s) => s.tuned.right,
    wrong: (s) => !s.tuned.right,
    fixed: (s) => s.base !== undefined && s.tuned.right && !s.base.right,
    broken: (s) => s.base !== undefined && !s.tuned.right && s.base.right,
  };
  const goldOf = (s) => (s.gold.length ? s.gold : [NONE]);
  const kinds = {
    bucket: (s) => (s.bucket === null ? [] : [s.bucket]),
    lang: (s) => (s.lang === null ? [] : [s.lang]),
    phenomenon: (s) => s.phenomena,
    tool: (s) => [...new Set([...goldOf(s), ...s.tuned.confusion.map(([due]) => due)])],
    reason: (s) => s.tuned.reasons,
  };

  const plain = (text) => text.normalize("NFC").toLowerCase();
  const searchable = new Map();

  function textOf(s) {
    if (!searchable.has(s)) {
      const gold = s.tuned.pairs.flatMap((pair) => [
        pair.gold || "",
        ...pair.rows.flatMap((row) => [row.path, ...(row.gold || []).map((part) => part[0])]),
      ]);
      const parts = [s.id, s.request[0], s.text, ...s.turns.map((turn) => turn[1]), s.tuned.raw, s.base ? s.base.raw : ""];
      searchable.set(s, plain([...parts, ...gold].join("\n")));
    }
    return searchable.get(s);
  }

  function matches(s) {
    const pairs = s.tuned.confusion;
    return (
      outcomes[state.outcome](s) &&
      Object.entries(kinds).every(([kind, of]) => !state[kind] || of(s).includes(state[kind])) &&
      (!state.called || pairs.some((pair) => pair[1] === state.called && (!state.tool || pair[0] === state.tool))) &&
      plain(state.q).split(/\s+/).every((part) => textOf(s).includes(part))
    );
  }

  function label(kind, value) {
    const key = `${kind}.${value}`;
    if (!data.words[key]) return value;
    return kind === "bucket" ? `${value} ${word(key)}` : word(key);
  }

  const controls = { selects: {}, outcomes: {} };

  function buildFilters() {
    const box = document.getElementById("filters");
    const segments = el("div", "segments");
    segments.setAttribute("role", "group");
    for (const [name, holds] of Object.entries(outcomes)) {
      const n = samples.filter(holds).length;
      if ((name === "fixed" || name === "broken") && !samples.some((s) => s.base)) continue;
      const node = button("", () => change({ outcome: name }), say(`filter.${name}`), ` ${n}`);
      node.value = name;
      controls.outcomes[name] = node;
      segments.append(node);
    }
    const search = el("input");
    search.type = "search";
    search.autocomplete = "off";
    search.addEventListener("input", () => change({ q: search.value }));
    controls.search = search;
    const selects = el("div", "selects");
    box.append(segments, search, selects);
    for (const [kind, of] of Object.entries(kinds)) {
      const counts = new Map();
      samples.flatMap(of).forEach((value) => counts.set(value, (counts.get(value) || 0) + 1));
      if (!counts.size) continue;
      const values = kind === "reason" ? data.reasons.filter((r) => counts.has(r)) : [...counts.keys()].sort();
      const select = el("select", "", el("option", ""), values.map(() => el("option", "")));
      values.forEach((value, i) => {
        select.options[i + 1].value = value;
        select.options[i + 1].dataset.count = counts.get(value);
      });
      select.options[0].value = "";
      select.addEventListener("change", () => change({ [kind]: select.value, called: "" }));
      controls.selects[kind] = select;
      selects.append(select);
    }
  }

  /** Texts that cannot hold two languages at once: options, placeholders, labels. */
  function relabel() {
    controls.search.placeholder = word("samples.search");
    controls.search.setAttribute("aria-label", word("samples.search"));
    for (const [kind, select] of Object.entries(controls.selects)) {
      select.setAttribute("aria-label", word(`filter.${kind}`));
      for (const option of select.options) {
        option.textContent = option.value
          ? `${label(kind, option.value)} (${option.dataset.count})`
          : `${word(`filter.${kind}`)}: ${word("filter.any")}`;
      }
    }
  }

  function change(some) {
    Object.assign(state, some);
    const set = Object.entries(state).filter(([key, value]) => value !== EMPTY[key]);
    const query = new URLSearchParams(set).toString();
    history.replaceState(null, "", query ? `#${query}` : location.pathname + location.search);
    show();
  }

  function fromAddress() {
    const query = new URLSearchParams(location.hash.slice(1));
    for (const key of Object.keys(EMPTY)) state[key] = query.get(key) || EMPTY[key];
    if (!Object.hasOwn(outcomes, state.outcome)) state.outcome = "all";
    show();
  }

  // ---- the list -----------------------------------------------------------------------------------------------

  function show() {
    found = samples.filter(matches);
    for (const [name, node] of Object.entries(controls.outcomes)) node.setAttribute("aria-pressed", String(name === state.outcome));
    if (controls.search.value !== state.q) controls.search.value = state.q;
    for (const [kind, select] of Object.entries(controls.selects)) {
      select.value = state[kind];
      select.classList.toggle("set", state[kind] !== "");
    }
    const count = document.getElementById("count");
    const active = Object.keys(EMPTY).some((key) => state[key] !== EMPTY[key]);
    count.replaceChildren(
      el("b", "", say(active ? "samples.shown" : "samples.all", { shown: found.length, all: samples.length })),
      ...(state.called ? [el("span", "", say("filter.called"), ": ", data.words[`tool.${state.called}`] ? say(`tool.${state.called}`) : el("code", "", state.called))] : []),
      ...(active ? [button("", () => change({ ...EMPTY }), say("samples.clear"))] : []),
    );
    const list = document.getElementById("list");
    list.replaceChildren();
    if (!found.length) list.append(el("p", "prose", say("samples.none")));
    grow();
  }

  function grow() {
    const list = document.getElementById("list");
    const drawn = list.querySelectorAll(".sample").length;
    list.append(...found.slice(drawn, drawn + PAGE).map(card));
    const left = Math.max(0, found.length - drawn - PAGE);
    const more = document.getElementById("more");
    more.hidden = left === 0;
    more.replaceChildren(...say("samples.more", { left }));
  }

  const kept = (text, left) => [text, ...(left ? [el("i", "gone", " … ", say("sample.cut", { n: left }))] : [])];

  function card(s) {
    const right = s.tuned.right;
    const mark = el("span", "mark", right ? "✓" : "✗");
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", word(right ? "sample.right" : "sample.wrong"));
    const ask = el("span", "ask", s.request[0]);
    ask.dir = "auto";
    const summary = el(
      "summary",
      "",
      mark,
      el("span", "ident", s.id, s.bucket ? ` · ${s.bucket}` : ""),
      ask,
      el("span", "chips", s.tuned.reasons.map((reason) => el("span", "chip", say(`reason.${reason}`)))),
    );
    return fold(`sample ${right ? "is-right" : "is-wrong"}`, summary, () => body(s));
  }

  function body(s) {
    const traits = [
      ...(s.bucket && data.words[`bucket.${s.bucket}`] ? [[`${s.bucket} `, say(`bucket.${s.bucket}`)]] : []),
      ...s.phenomena.map((p) => (data.words[`phenomenon.${p}`] ? say(`phenomenon.${p}`) : [p])),
    ];
    const parts = [el("p", "traits", traits.map((t) => el("span", "", t)))];
    if (s.request[1]) parts.push(el("p", "sub", say("sample.cut", { n: s.request[1] })));
    parts.push(...answer(s, s.tuned));
    if (s.base) {
      const head = el("summary", "", say("sample.base"), " — ", say(s.base.right ? "sample.right" : "sample.wrong"));
      s.base.reasons.forEach((reason, i) => head.append(i ? ", " : ": ", ...say(`reason.${reason}`)));
      parts.push(fold("fold", head, () => el("div", "answer", answer(s, s.base))));
    }
    if (s.turns.length) parts.push(fold("fold", el("summary", "", say("sample.earlier", { n: s.turns.length })), () => turns(s)));
    parts.push(fold("fold", el("summary", "", say("sample.tools", { n: s.tools.length })), () => tools(s)));
    return el("div", "body", parts);
  }

  function answer(s, a) {
    const parts = [];
    if (a.reasons.length) {
      const why = a.reasons.map((reason) => el("li", "", el("b", "", say(`reason.${reason}`)), say(`reason.${reason}.what`)));
      parts.push(el("ul", "why", why));
    }
    if (s.gold.length || a.pairs.length) {
      const calls = el("div", "calls", columns(), a.pairs.map((pair) => (pair.equal && a.pairs.length > 1 ? sameCall(pair) : call(pair))));
      const note = a.hidden ? el("p", "sub", say("sample.more_calls", { n: a.hidden })) : null;
      parts.push(el("div", "", el("h4", "", say("sample.calls")), calls, note));
    }
    if (!s.gold.length) {
      const example = s.text ? [": ", el("q", "", s.text)] : ["."];
      parts.push(el("p", "sub", say("sample.answer"), example));
    }
    const facts = [el("span", "faint", say("sample.tokens", { n: a.tokens }))];
    if (a.truncated) facts.push(el("span", "faint", say("reason.cut_off")));
    if (a.problems.length) facts.push(el("span", "faint", say("sample.problems"), ": ", el("code", "", a.problems.join(", "))));
    const raw = el("pre", "", a.raw ? kept(a.raw, a.left) : el("i", "gone", say("sample.empty")));
    raw.tabIndex = 0;
    const read = a.calls.length ? el("pre", "", a.calls.join("\n")) : el("p", "sub", say("sample.no_calls"));
    const written = el("div", "", el("h4", "", say("sample.raw"), facts), raw);
    parts.push(el("div", "written", written, el("div", "", el("h4", "", say("sample.parsed")), read)));
    return parts;
  }

  const columns = () => el("div", "cells columns", el("span", "path"), el("span", "gold", say("sample.gold")), el("span", "got", say("sample.got")), el("span", "state"));

  /** One of several calls that is right: a single line, so that the others stand out. */
  function sameCall(pair) {
    const values = pair.rows.filter((row) => row.got).map((row) => `${row.path}=${row.got.map((part) => part[0]).join("")}`);
    const text = `${pair.got}(${values.join(", ")})`;
    const line = el("div", "cells whole mono", el("span", "path", "✓"), el("span", "", text), el("span", "state", say("row.same")));
    return el("div", "call", line);
  }

  function call(pair) {
    const named = (name, off) => (name === null ? el("i", "gone", say("sample.no_call_here")) : off ? el("mark", "", name) : name);
    let word = null;
    if (pair.got === null) word = "reason.missing_call";
    else if (!pair.offered) word = "reason.unknown_tool";
    else if (pair.gold === null) word = "reason.extra_call";
    else if (!pair.same) word = "reason.wrong_tool";
    const head = el(
      "div",
      `cells names mono ${word ? "off" : "ok"}`,
      el("span", "path"),
      el("span", "gold", named(pair.gold, word)),
      el("span", "got", named(pair.got, word)),
      el("span", "state", word ? say(word) : ""),
    );
    return el("div", "call", head, pair.rows.map((row) => valueRow(row, word === null, pair)));
  }

  function valueRow(row, judged, pair) {
    const off = judged && !["same", "default"].includes(row.status);
    const value = (parts, whole) =>
      parts === null && whole === null ? [] : parts === null ? [el("i", "gone", say("sample.absent"))] : parts.map(([text, marked]) => (marked && off ? el("mark", "", text) : text));
    const cls = off ? "off" : row.status === "default" ? "is-default" : judged ? "ok" : "";
    return el(
      "div",
      `cells mono ${cls}`,
      el("span", "path", row.path),
      el("span", "gold", value(row.gold, pair.gold)),
      el("span", "got", value(row.got, pair.got)),
      el("span", "state", off || row.status === "default" ? say(`row.${row.status}`) : ""),
    );
  }

  function turns(s) {
    return el("div", "turns", s.turns.map(([role, text, left]) => {
      const said = el("span", "", kept(text, left));
      said.dir = "auto";
      return el("div", "turn", el("b", "", say(`role.${role}`)), said);
    }));
  }

  function tools(s) {
    const parameter = ([name, kind, required, what]) =>
      el("li", "", el("code", "", name), el("span", "faint", kind), required ? el("span", "tag", say("sample.required")) : null, what ? ` ${what}` : null);
    return el("div", "tools", s.tools.map((i) => {
      const tool = data.tools[i];
      return el("div", "", el("code", "", tool.name), tool.what ? el("p", "", tool.what) : null, el("ul", "", tool.parameters.map(parameter)));
    }));
  }

  // ---- switches -----------------------------------------------------------------------------------------------

  function jump(some) {
    change({ ...EMPTY, ...some });
    document.getElementById("samples").scrollIntoView();
  }

  document.addEventListener("switched", relabel);
  document.querySelectorAll("tr[data-kind]").forEach((row) =>
    row.addEventListener("click", () => jump({ [row.dataset.kind]: row.dataset.value })),
  );
  const confusion = document.getElementById("confusion");
  if (confusion) {
    confusion.addEventListener("click", (event) => {
      const cell = event.target.closest("button");
      if (cell) jump({ tool: cell.dataset.gold, called: cell.dataset.called });
    });
    document.getElementById("all-names").addEventListener("change", (event) => confusion.classList.toggle("compact", !event.target.checked));
  }
  document.getElementById("more").addEventListener("click", grow);
  window.addEventListener("hashchange", fromAddress);

  buildFilters();
  relabel();
  fromAddress();
})();
