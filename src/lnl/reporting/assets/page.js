const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 8;
const state = {
  setting: 0,
  metric: data.metric,
  protocol: "last" in data.protocols ? "last" : Object.keys(data.protocols)[0],
  column: null,
  row: null,
  curves: [],
  hidden: new Set(), // of data.series, by place
  off: Object.fromEntries(data.filters.map((key) => [key, new Set()])),
};

// ---- small things

const unique = (values) => [...new Set(values)];
const ordered = (values) =>
  unique(values).sort((a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))));
const shown = (value) => (value === null ? "not given" : typeof value === "number" ? String(+value.toPrecision(6)) : value);
const present = (value) => value !== null && value !== undefined;
const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]); // Plotly reads tags
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (row) => variable(`--series-${row % COLOURS}`);
const faint = (hex) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},0.15)`;

function swatch(row) {
  const mark = make("span", { className: row < COLOURS ? "swatch" : "swatch again" });
  mark.style.setProperty("--series", `var(--series-${row % COLOURS})`);
  mark.setAttribute("aria-hidden", "true");
  return mark;
}

function statistics(values) {
  const numbers = values.filter(present);
  const mean = numbers.reduce((sum, value) => sum + value, 0) / numbers.length;
  const squares = numbers.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { n: numbers.length, mean, std: numbers.length > 1 ? Math.sqrt(squares / (numbers.length - 1)) : 0 };
}

// ---- which runs

const passes = (run) => data.filters.every((key) => !state.off[key].has(shown(run[key])));
const filtered = () => data.runs.filter(passes);
const here = () => filtered().filter((run) => run.setting === state.setting && !state.hidden.has(run.row));
const once = () => here().filter((run) => !run.repeated); // what is averaged over
const atColumn = (runs) => runs.filter((run) => shown(run.column) === state.column);
const rowsOf = (runs) => unique(runs.map((run) => run.row)).sort((a, b) => a - b);
const metricPlace = (key) => data.metrics.findIndex((metric) => metric.key === key);
const metricInfo = (key) => data.metrics[metricPlace(key)];

function metricOf(run, key, protocol = state.protocol) {
  const value = run.metrics[protocol]?.[metricPlace(key)];
  return present(value) ? value * metricInfo(key).scale : null;
}

// ---- figures: each function returns its traces and layout, or nothing

function lines(row, points, dash, name = "") {
  const there = points.filter((point) => point.n > 0);
  if (!there.length) return [];
  const label = escaped(data.series[row] + name);
  const x = there.map((point) => point.x);
  const made = [];
  if (there.some((point) => point.std > 0) && there.every((point) => typeof point.x === "number")) {
    const upper = there.map((point) => point.mean + point.std);
    const lower = there.map((point) => point.mean - point.std);
    made.push({
      x: [...x, ...x.toReversed()], y: [...upper, ...lower.reverse()], fill: "toself", fillcolor: faint(colour(row)),
      line: { width: 0 }, mode: "lines", hoverinfo: "skip", meta: "band",
    });
  }
  made.push({
    x, y: there.map((point) => point.mean), name: label, meta: "line", mode: there.length > 40 ? "lines" : "lines+markers",
    line: { color: colour(row), width: 2, dash: dash ?? DASHES[Math.floor(row / COLOURS) % DASHES.length] },
    marker: { size: 5 },
    text: there.map((point) => (point.n > 1 ? ` ± ${point.std.toPrecision(2)} (n ${point.n})` : ` (n ${point.n})`)),
    hovertemplate: "%{y:.4~g}%{text}<extra>%{fullData.name}</extra>",
  });
  return made;
}

function byColumn(key, dash, name) {
  const runs = once();
  return rowsOf(runs).flatMap((row) => {
    const mine = runs.filter((run) => run.row === row);
    const points = ordered(mine.map((run) => run.column)).map((column) => ({
      x: column,
      ...statistics(mine.filter((run) => run.column === column).map((run) => metricOf(run, key))),
    }));
    return lines(row, points, dash, name);
  });
}

function byEpoch(curve, scale, dash, name) {
  const runs = atColumn(once()).filter((run) => run.curves[curve]);
  return rowsOf(runs).flatMap((row) => {
    const values = new Map();
    for (const run of runs.filter((run) => run.row === row)) {
      run.curves.epoch.forEach((epoch, i) => {
        if (!values.has(epoch)) values.set(epoch, []);
        values.get(epoch).push(run.curves[curve][i]);
      });
    }
    const points = [...values].sort((a, b) => a[0] - b[0]).map(([x, all]) => {
      const { n, mean, std } = statistics(all);
      return { x, n, mean: mean * scale, std: std * scale };
    });
    return lines(row, points, dash, name);
  });
}

const columnAxis = () => ({ title: { text: escaped(data.columnLabel) } });
const epochAxis = { title: { text: "epoch" } };
const percent = (curve) => (curve.endsWith("accuracy") ? 100 : 1);

function heatmap(matrix, classes, texts, unit) {
  const size = Math.sqrt(matrix.length);
  const grid = (values) => Array.from({ length: size }, (_, i) => values.slice(i * size, (i + 1) * size));
  const named = classes.map(escaped);
  const names = new Set(named).size === size ? named : [...Array(size).keys()].map(String);
  return [{
    type: "heatmap", z: grid(matrix), x: names, y: names, customdata: grid(texts ?? matrix), zmin: 0, zmax: 1,
    colorscale: [[0, variable("--page")], [1, variable("--accent")]], colorbar: { thickness: 10, outlinewidth: 0 }, meta: "heatmap",
    hovertemplate: `true %{y}<br>${unit} %{x}<br>%{z:.1%}${texts ? " (%{customdata})" : ""}<extra></extra>`,
  }];
}

const matrixLayout = (x) => ({
  hovermode: "closest", xaxis: { title: { text: x }, type: "category", showgrid: false },
  yaxis: { title: { text: "true class" }, type: "category", autorange: "reversed", showgrid: false },
});

const FIGURES = {
  against: () => [byColumn(state.metric), { xaxis: columnAxis(), yaxis: { title: { text: metricInfo(state.metric).text } } }],
  "epochs-a": () => epochFigure(0),
  "epochs-b": () => epochFigure(1),
  memorisation: () => [
    [
      ...byEpoch("fitted_correct", 1, "dot", ", correct labels"),
      ...byEpoch("fitted_wrong", 1, "solid", ", wrong labels").map((trace) => ({ ...trace, yaxis: "y2" })),
    ],
    { // one above the other: wrong labels are few, and would be a flat line below the correct ones
      xaxis: { ...epochAxis, anchor: "y2" },
      yaxis: { title: { text: "correct" }, rangemode: "tozero", domain: [0.56, 1] },
      yaxis2: { title: { text: "wrong" }, rangemode: "tozero", domain: [0, 0.44] },
    },
  ],
  errors: () => [
    metricInfo("test/error") && metricInfo("train/error")
      ? [...byColumn("test/error", "solid", ", test"), ...byColumn("train/error", "dot", ", train")] : [],
    { xaxis: columnAxis(), yaxis: { title: { text: "error, %" } } },
  ],
  confusion() {
    const runs = atColumn(once()).filter((run) => data.series[run.row] === state.row && run.confusion[state.protocol]);
    if (!runs.length) return [[], {}];
    const sum = runs[0].confusion[state.protocol].map((_, i) => runs.reduce((all, run) => all + run.confusion[state.protocol][i], 0));
    const size = Math.sqrt(sum.length);
    const totals = Array.from({ length: size }, (_, i) => sum.slice(i * size, (i + 1) * size).reduce((a, b) => a + b, 0));
    const shares = sum.map((count, i) => count / Math.max(totals[Math.floor(i / size)], 1));
    return [heatmap(shares, data.classes[state.setting] ?? [], sum, "predicted"), matrixLayout("predicted")];
  },
  transition() {
    const found = data.transitions.find((one) => one.setting === state.setting && shown(one.column) === state.column);
    return [found ? heatmap(found.matrix, data.classes[state.setting] ?? [], null, "given label") : [], matrixLayout("given label")];
  },
  time() {
    const runs = atColumn(here());
    const traces = rowsOf(runs).map((row) => {
      const mine = runs.filter((run) => run.row === row && present(metricOf(run, state.metric)) && present(run.seconds));
      return {
        x: mine.map((run) => run.seconds), y: mine.map((run) => metricOf(run, state.metric)), mode: "markers", meta: "points",
        name: escaped(data.series[row]), text: mine.map((run) => `seed ${run.seed}`), marker: { color: colour(row), size: 8 },
        hovertemplate: "%{y:.4~g} after %{x:.4~g} s, %{text}<extra>%{fullData.name}</extra>",
      };
    });
    const layout = { hovermode: "closest", xaxis: { title: { text: "training time, s" } } };
    return [traces.filter((trace) => trace.x.length), { ...layout, yaxis: { title: { text: metricInfo(state.metric).text } } }];
  },
};

function epochFigure(place) {
  const curve = state.curves[place];
  const unit = percent(curve) === 100 ? ", %" : "";
  return [byEpoch(curve, percent(curve)), { xaxis: epochAxis, yaxis: { title: { text: (data.curveTexts[curve] ?? "") + unit } } }];
}

function draw(id) {
  ready();
  const element = byId(id);
  const [traces, layout] = curvesThere().length || !id.startsWith("epochs") ? FIGURES[id]() : [[], {}];
  element.setAttribute("role", "img");
  const counted = traces.filter((trace) => trace.meta !== "band").length;
  const caption = element.parentElement.querySelector("figcaption").innerText.replace(/\s+/g, " ");
  element.setAttribute("aria-label", `${caption}: ${counted ? `${counted} series` : "nothing to show"}`);
  element.classList.toggle("empty", !counted);
  if (!counted) {
    if (element.data) Plotly.purge(element);
    element.textContent = "No run has anything to show here.";
    return;
  }
  if (!element.data) element.textContent = "";
  const line = { gridcolor: variable("--line"), zeroline: false, linecolor: variable("--line"), automargin: true };
  const base = {
    showlegend: false, hovermode: "x unified", margin: { l: 55, r: 12, t: 8, b: 42 }, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 12, color: variable("--text") },
    hoverlabel: { bgcolor: variable("--surface"), bordercolor: variable("--line"), font: { color: variable("--text") } },
    dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
  };
  const names = ["xaxis", "yaxis", ...(layout.yaxis2 ? ["yaxis2"] : [])];
  const axes = Object.fromEntries(names.map((name) => [name, { ...line, ...layout[name] }]));
  Plotly.react(element, traces, { ...base, ...layout, ...axes }, { responsive: true, displayModeBar: false });
}

// The tables do not wait for 5 MB of Plotly: it stands in the page as text, and is run when a figure first wants it.
function ready() {
  if (!window.Plotly) document.head.append(make("script", { textContent: byId("plotly").textContent }));
}

// Only what can be seen is drawn; the rest when it comes into view.
const waiting = new Set();
const inView = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    inView[isIntersecting ? "add" : "delete"](target.id);
    if (isIntersecting && waiting.delete(target.id)) draw(target.id);
  }
}, { rootMargin: "200px" });

function drawAll() {
  for (const id of Object.keys(FIGURES)) {
    if (inView.has(id)) draw(id);
    else waiting.add(id);
  }
}

// ---- controls

const curvesThere = () => Object.keys(data.curveTexts).filter((name) => data.runs.some((run) => run.curves[name]));

function updateControls() {
  const runs = filtered();
  const settings = unique(runs.map((run) => run.setting));
  if (settings.length && !settings.includes(state.setting)) state.setting = settings[0];
  fill(byId("setting"), settings.map((place) => [place, data.settings[place]]), state.setting);
  const mine = runs.filter((run) => run.setting === state.setting);
  const columns = ordered(mine.map((run) => run.column)).map(shown);
  if (!columns.includes(state.column)) state.column = columns[Math.floor(columns.length / 2)] ?? null;
  fill(byId("column"), columns.map((value) => [value, value]), state.column);
  const rows = rowsOf(mine.filter((run) => !state.hidden.has(run.row))).map((row) => data.series[row]);
  if (!rows.includes(state.row)) state.row = rows[0] ?? null;
  fill(byId("confusion-row"), rows.map((value) => [value, value]), state.row);
  for (const place of document.querySelectorAll(".at")) place.textContent = `at ${data.columnLabel} ${state.column}`;
  const [metric, protocol] = [metricInfo(state.metric).text, data.protocols[state.protocol]];
  byId("against-title").textContent = `${metric} against ${data.columnLabel}, ${protocol}`;
  byId("time-title").textContent = `${metric} (${protocol}) against training time at ${data.columnLabel} ${state.column}`;
  byId("errors-title").textContent = `Error on the test set (solid) and on the given training labels (dotted), ${protocol}`;
  byId("filter-count").textContent = `${runs.length} of ${data.runs.length} runs`;
  byId("legend").replaceChildren(...rowsOf(mine).map((row) => {
    const button = make("button", { type: "button" }, swatch(row), data.series[row]);
    button.dataset.row = row;
    button.setAttribute("aria-pressed", String(!state.hidden.has(row)));
    return button;
  }));
}

function update() {
  updateControls();
  drawAll();
}

function makeFilters() {
  byId("filters").replaceChildren(...data.filters.map((key) => {
    const box = make("fieldset", {}, make("legend", { textContent: key === "rate" ? "noise rate" : key }));
    for (const value of ordered(data.runs.map((run) => run[key])).map(shown)) {
      const check = make("input", { type: "checkbox", checked: !state.off[key].has(value), name: key, value });
      check.addEventListener("change", () => {
        state.off[key][check.checked ? "delete" : "add"](value);
        makeRuns();
        update();
      });
      box.append(make("label", {}, check, ` ${value}`));
    }
    return box;
  }));
}

// ---- tables

function sortBy(header) {
  const table = header.closest("table");
  const place = [...header.parentElement.children].indexOf(header);
  const before = header.getAttribute("aria-sort");
  const first = header.classList.contains("number") ? "descending" : "ascending"; // the best is wanted first
  const sorted = before === "none" ? first : before === "ascending" ? "descending" : "ascending";
  for (const other of header.parentElement.querySelectorAll("[aria-sort]")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", sorted);
  const sign = sorted === "ascending" ? 1 : -1;
  const keys = [...table.tBodies[0].rows].map((row) => [row.cells[place].dataset.value ?? "", row]);
  const numbers = keys.every(([value]) => value === "" || Number.isFinite(Number(value)));
  keys.sort(([a], [b]) => {
    if (a === "" || b === "") return (a === "") - (b === ""); // what is missing comes last either way
    return sign * (numbers ? a - b : a.localeCompare(b));
  });
  table.tBodies[0].append(...keys.map(([, row]) => row));
}

const RUN_COLUMNS = [
  ["row", (run) => data.series[run.row]], ["config", () => null],
  ["data", (run) => run.data], ["noise", (run) => run.noise], ["rate", (run) => run.rate, true],
  ["model", (run) => run.model], ["seed", (run) => run.seed, true],
  ...Object.entries(data.protocols).map(([key, text]) => [text, (run) => metricOf(run, state.metric, key), true, key]),
  ["training, s", (run) => run.seconds, true], ["folder", (run) => run.path],
];

function makeRuns() {
  const table = byId("runs-table");
  const headers = RUN_COLUMNS.map(([name, , number, protocol]) => {
    const text = protocol ? `${metricInfo(state.metric).text}: ${protocol}` : name;
    const header = make("th", { scope: "col", className: number ? "number" : "" });
    if (name === "config") header.textContent = text;
    else {
      header.append(make("button", { type: "button", textContent: text }));
      header.setAttribute("aria-sort", "none");
    }
    return header;
  });
  table.tHead.replaceChildren(make("tr", {}, ...headers));
  table.tBodies[0].replaceChildren(...filtered().map((run) => {
    const cells = RUN_COLUMNS.map(([name, value, number]) => {
      const content = value(run);
      const cell = make(name === "row" ? "th" : "td", { className: number ? "number" : "" });
      cell.dataset.value = present(content) ? content : "";
      const text = !present(content) ? "–" : typeof content === "number" && !Number.isInteger(content) ? String(+content.toPrecision(4)) : shown(content);
      if (name === "row") cell.append(swatch(run.row), text);
      else if (name === "config") {
        const config = make("button", { type: "button", textContent: "show" });
        config.setAttribute("aria-label", `Configuration of ${run.run}`);
        config.addEventListener("click", () => showRun(run));
        cell.append(config);
      } else if (name === "folder") cell.append(make("a", { href: encodeURI(run.link) + "/", textContent: text }));
      else cell.textContent = text;
      if (name === "row") cell.scope = "row";
      return cell;
    });
    return make("tr", {}, ...cells);
  }));
}

function showRun(run) {
  const listed = (title, values) => {
    const rows = Object.entries(values).map(([key, value]) =>
      make("tr", {}, make("th", { scope: "row" }, make("code", { textContent: key })), make("td", { textContent: value })));
    return make("table", {}, make("caption", { textContent: title }), make("tbody", {}, ...rows));
  };
  byId("run-title").textContent = run.run;
  byId("run-content").replaceChildren(
    make("p", {}, make("code", { textContent: run.path })),
    listed("What runs of this report differ in", run.config),
    listed("The same in all of them", data.common),
  );
  byId("run").showModal();
}

// ---- start

function start() {
  const curves = curvesThere();
  const prefer = (wanted, other) => (curves.includes(wanted) ? wanted : curves[other] ?? "");
  state.curves = [prefer("val/loss", 0), prefer("train/accuracy", 1)];
  ["curve-a", "curve-b"].forEach((id, place) => {
    fill(byId(id), curves.map((name) => [name, data.curveTexts[name]]), state.curves[place]);
    byId(id).addEventListener("change", (event) => {
      state.curves[place] = event.target.value;
      update();
    });
  });
  byId("column-name").textContent = data.columnLabel;
  fill(byId("metric"), data.metrics.map((metric) => [metric.key, metric.text]), state.metric);
  fill(byId("protocol"), Object.entries(data.protocols), state.protocol);
  const change = (id, key, convert = String) => byId(id).addEventListener("change", (event) => {
    state[key] = convert(event.target.value);
    if (key === "metric") makeRuns();
    update();
  });
  change("setting", "setting", Number);
  change("metric", "metric");
  change("protocol", "protocol");
  change("column", "column");
  change("confusion-row", "row");
  byId("legend").addEventListener("click", (event) => {
    const row = event.target.closest("button")?.dataset.row;
    if (row === undefined) return;
    state.hidden[state.hidden.has(+row) ? "delete" : "add"](+row);
    update();
    byId("legend").querySelector(`[data-row="${row}"]`).focus(); // the buttons are made anew
  });
  byId("filter-reset").addEventListener("click", () => {
    for (const off of Object.values(state.off)) off.clear();
    makeFilters();
    makeRuns();
    update();
  });
  document.addEventListener("click", (event) => {
    const header = event.target.closest("table.sortable thead button")?.closest("th");
    if (header) sortBy(header);
  });
  byId("theme").addEventListener("change", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  makeFilters();
  makeRuns();
  update();
  for (const id of Object.keys(FIGURES)) watcher.observe(byId(id));
}

start();
