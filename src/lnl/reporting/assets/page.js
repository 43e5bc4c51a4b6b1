const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 8;
const FACTS = 7; // columns of the table of runs before those with the metric
const state = {
  setting: 0,
  metric: data.metric,
  protocol: "last" in data.protocols ? "last" : Object.keys(data.protocols)[0],
  column: null,
  row: null,
  curves: [],
  hidden: new Set(), // of data.series, by place
  off: Object.fromEntries(Object.keys(data.filters).map((key) => [key, new Set()])),
};

// ---- small things

const unique = (values) => [...new Set(values)];
const present = (value) => value !== null && value !== undefined;
const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]); // Plotly reads tags
const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const colour = (row) => variable(`--series-${row % COLOURS}`);
const faint = (hex) => `rgba(${[1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)).join(",")},0.15)`;
const metricPlace = (key) => Object.keys(data.metrics).indexOf(key);

function swatch(row) {
  const mark = make("span", { className: row < COLOURS ? "swatch" : "swatch again" });
  mark.style.setProperty("--series", `var(--series-${row % COLOURS})`);
  mark.setAttribute("aria-hidden", "true");
  return mark;
}

// ---- which runs, and which cells of the tables

const passes = (run) => Object.keys(data.filters).every((key) => !state.off[key].has(run[key]));
const runsOf = (cell) => cell.runs.map((place) => data.runs[place]).filter(passes);
const here = () => data.cells.filter((cell) => cell.setting === state.setting && runsOf(cell).length);
const visible = () => here().filter((cell) => !state.hidden.has(cell.row));
const atColumn = (list) => list.filter((one) => one.column === state.column);
const rowsOf = (list) => unique(list.map((one) => one.row)).sort((a, b) => a - b);

// A cell while all of its runs pass the filter; else those that do, which have the same form.
function parts(cell) {
  const runs = runsOf(cell);
  return cell.metrics && runs.length === cell.runs.length ? [cell] : runs;
}

const point = (x, values, place) =>
  ({ x, y: values?.mean[place] ?? null, std: values?.std?.[place] ?? 0, n: values?.n?.[place] ?? 1 });
const GAP = { x: null, y: null, std: 0, n: 0 };

// ---- figures: each function returns its traces and layout

function lines(row, points, dash, name = "") {
  if (!points.some(({ y }) => present(y))) return [];
  const x = points.map((one) => one.x);
  const made = [];
  if (points.some(({ std }) => std > 0) && points.every((one) => typeof one.x === "number")) {
    made.push({
      x: [...x, ...x.toReversed()], y: [...points.map(({ y, std }) => y + std), ...points.map(({ y, std }) => y - std).reverse()],
      fill: "toself", fillcolor: faint(colour(row)), line: { width: 0 }, mode: "lines", hoverinfo: "skip", meta: "band",
    });
  }
  made.push({
    x, y: points.map(({ y }) => y), name: escaped(data.series[row] + name), meta: "line",
    mode: points.length > 40 ? "lines" : "lines+markers",
    line: { color: colour(row), width: 2, dash: dash ?? DASHES[Math.floor(row / COLOURS) % DASHES.length] },
    marker: { size: 5 },
    text: points.map(({ std, n }) => (n > 1 ? ` ± ${std.toPrecision(2)} (n ${n})` : ` (n ${n})`)),
    hovertemplate: "%{y:.4~g}%{text}<extra>%{fullData.name}</extra>",
  });
  return made;
}

// Runs of a cell that is not whole are points one above the other, which no line connects.
function byColumn(key, dash, name) {
  const place = metricPlace(key);
  const cells = visible();
  return rowsOf(cells).flatMap((row) => {
    const mine = cells.filter((cell) => cell.row === row);
    const points = mine.flatMap((cell) => {
      const all = parts(cell).map((part) => point(cell.x, part.metrics[state.protocol], place)).filter(({ y }) => present(y));
      return all.length > 1 ? all.flatMap((one) => [GAP, one, GAP]) : all;
    });
    return lines(row, points, dash, name);
  });
}

function byEpoch(curve, dash, name) {
  const cells = atColumn(visible());
  return cells.flatMap((cell) => {
    const curves = parts(cell).map(({ curves }) => (curves[curve] ? curves.epoch.map((x, i) => point(x, curves[curve], i)) : []));
    const points = curves.map((one) => one.filter(({ y }) => present(y))).filter((one) => one.length);
    return lines(cell.row, points.flatMap((one, i) => (i ? [GAP, ...one] : one)), dash, name);
  });
}

const columnAxis = () => ({ title: { text: escaped(data.columnLabel) } });
const epochAxis = { title: { text: "epoch" } };

function heatmap(shares, counts, unit) {
  const named = (data.classes[state.setting] ?? []).map(escaped);
  const names = new Set(named).size === shares.length ? named : shares.map((_, place) => String(place));
  const traces = [{
    type: "heatmap", z: shares, x: names, y: names, customdata: counts ?? shares, zmin: 0, zmax: 1,
    colorscale: [[0, variable("--page")], [1, variable("--accent")]], colorbar: { thickness: 10, outlinewidth: 0 }, meta: "heatmap",
    hovertemplate: `true %{y}<br>${unit} %{x}<br>%{z:.1%}${counts ? " (%{customdata})" : ""}<extra></extra>`,
  }];
  return [traces, {
    hovermode: "closest", xaxis: { title: { text: unit }, type: "category", showgrid: false },
    yaxis: { title: { text: "true class" }, type: "category", autorange: "reversed", showgrid: false },
  }];
}

const FIGURES = {
  against: () => [byColumn(state.metric), { xaxis: columnAxis(), yaxis: { title: { text: data.metrics[state.metric] } } }],
  "epochs-a": () => epochFigure(0),
  "epochs-b": () => epochFigure(1),
  memorisation: () => [
    [
      ...byEpoch("fitted_correct", "dot", ", correct labels"),
      ...byEpoch("fitted_wrong", "solid", ", wrong labels").map((trace) => ({ ...trace, yaxis: "y2" })),
    ],
    { // one above the other: wrong labels are few, and would be a flat line below the correct ones
      xaxis: { ...epochAxis, anchor: "y2" },
      yaxis: { title: { text: "correct" }, rangemode: "tozero", domain: [0.56, 1] },
      yaxis2: { title: { text: "wrong" }, rangemode: "tozero", domain: [0, 0.44] },
    },
  ],
  errors: () => [
    data.metrics["test/error"] && data.metrics["train/error"]
      ? [...byColumn("test/error", "solid", ", test"), ...byColumn("train/error", "dot", ", train")] : [],
    { xaxis: columnAxis(), yaxis: { title: { text: "error, %" } } },
  ],
  confusion() {
    const matrix = atColumn(visible()).find((cell) => data.series[cell.row] === state.row)?.confusion[state.protocol];
    return matrix ? heatmap(matrix.share, matrix.count, "predicted") : [[], {}];
  },
  transition() {
    const matrix = data.transitions[state.setting]?.[state.column];
    return matrix ? heatmap(matrix, null, "given label") : [[], {}];
  },
  time() {
    const place = metricPlace(state.metric);
    const value = (run) => run.metrics[state.protocol]?.mean[place];
    const runs = atColumn(data.runs).filter((run) =>
      run.setting === state.setting && passes(run) && !state.hidden.has(run.row) && present(value(run)) && present(run.seconds));
    const traces = rowsOf(runs).map((row) => {
      const mine = runs.filter((run) => run.row === row);
      return {
        x: mine.map((run) => run.seconds), y: mine.map(value), mode: "markers", meta: "points",
        name: escaped(data.series[row]), text: mine.map((run) => `seed ${run.seed}`), marker: { color: colour(row), size: 8 },
        hovertemplate: "%{y:.4~g} after %{x:.4~g} s, %{text}<extra>%{fullData.name}</extra>",
      };
    });
    const layout = { hovermode: "closest", xaxis: { title: { text: "training time, s" } } };
    return [traces, { ...layout, yaxis: { title: { text: data.metrics[state.metric] } } }];
  },
};

function epochFigure(place) {
  const curve = state.curves[place];
  return [curve ? byEpoch(curve) : [], { xaxis: epochAxis, yaxis: { title: { text: data.curves[curve] ?? "" } } }];
}

function draw(id) {
  ready();
  const element = byId(id);
  const [traces, layout] = FIGURES[id]();
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

function updateControls() {
  const settings = data.settings.map((text, place) => [place, text])
    .filter(([place]) => data.cells.some((cell) => cell.setting === place && runsOf(cell).length));
  if (settings.length && !settings.some(([place]) => place === state.setting)) [[state.setting]] = settings;
  fill(byId("setting"), settings, state.setting);
  const cells = here();
  const columns = data.columns[state.setting].filter((text) => cells.some((cell) => cell.column === text));
  if (!columns.includes(state.column)) state.column = columns[Math.floor(columns.length / 2)] ?? null;
  fill(byId("column"), columns.map((value) => [value, value]), state.column);
  const rows = rowsOf(visible()).map((row) => data.series[row]);
  if (!rows.includes(state.row)) state.row = rows[0] ?? null;
  fill(byId("confusion-row"), rows.map((value) => [value, value]), state.row);
  for (const place of document.querySelectorAll(".at")) place.textContent = `at ${data.columnLabel} ${state.column}`;
  const [metric, protocol] = [data.metrics[state.metric], data.protocols[state.protocol]];
  byId("against-title").textContent = `${metric} against ${data.columnLabel}, ${protocol}`;
  byId("time-title").textContent = `${metric} (${protocol}) against training time at ${data.columnLabel} ${state.column}`;
  byId("errors-title").textContent = `Error on the test set (solid) and on the given training labels (dotted), ${protocol}`;
  byId("filter-count").textContent = `${data.runs.filter(passes).length} of ${data.runs.length} runs`;
  byId("legend").replaceChildren(...rowsOf(cells).map((row) => {
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

const runRows = [...byId("runs-table").tBodies[0].rows]; // in the order of data.runs, whatever they are sorted by

// The table of runs has a column for each protocol, with the chosen metric.
function showMetric() {
  const headers = [...byId("runs-table").tHead.rows[0].cells];
  Object.entries(data.protocols).forEach(([protocol, text], column) => {
    const header = headers[FACTS + column];
    header.firstChild.textContent = `${data.metrics[state.metric]}: ${text}`;
    header.setAttribute("aria-sort", "none");
    runRows.forEach((row, place) => {
      const value = data.runs[place].metrics[protocol]?.mean[metricPlace(state.metric)];
      const cell = row.cells[FACTS + column];
      cell.dataset.value = value ?? "";
      cell.textContent = present(value) ? String(Number.isInteger(value) ? value : +value.toPrecision(4)) : "–";
    });
  });
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

function filterRuns() {
  runRows.forEach((row, place) => { row.hidden = !passes(data.runs[place]); });
  update();
}

function start() {
  const curves = Object.keys(data.curves);
  state.curves = ["val/loss", "train/accuracy"].map((wanted, place) => (curves.includes(wanted) ? wanted : curves[place]));
  ["curve-a", "curve-b"].forEach((id, place) => {
    fill(byId(id), Object.entries(data.curves), state.curves[place]);
    byId(id).addEventListener("change", (event) => {
      state.curves[place] = event.target.value;
      update();
    });
  });
  byId("column-name").textContent = data.columnLabel;
  fill(byId("metric"), Object.entries(data.metrics), state.metric);
  fill(byId("protocol"), Object.entries(data.protocols), state.protocol);
  const change = (id, key, convert = String) => byId(id).addEventListener("change", (event) => {
    state[key] = convert(event.target.value);
    if (key === "metric") showMetric();
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
    byId("legend").querySelector(`[data-row="${row}"]`).focus(); // update() has replaced the buttons
  });
  byId("filters").addEventListener("change", ({ target }) => {
    state.off[target.name][target.checked ? "delete" : "add"](target.value);
    filterRuns();
  });
  byId("filter-reset").addEventListener("click", () => {
    for (const off of Object.values(state.off)) off.clear();
    for (const box of byId("filters").querySelectorAll("input")) box.checked = true;
    filterRuns();
  });
  byId("runs-table").tBodies[0].addEventListener("click", ({ target }) => {
    if (target.tagName === "BUTTON") showRun(data.runs[runRows.indexOf(target.closest("tr"))]);
  });
  document.addEventListener("click", (event) => {
    const header = event.target.closest("table.sortable thead button")?.closest("th");
    if (header) sortBy(header);
  });
  byId("theme").addEventListener("change", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  showMetric();
  update();
  for (const id of Object.keys(FIGURES)) watcher.observe(byId(id));
}

start();
