const DASHES = ["solid", "dash", "dot", "dashdot"];
const COLOURS = 8;
const FACTS = 7; // columns of the table of runs before those with the metric
const CHOICES = ["setting", "metric", "protocol", "column", "row", "curve-a", "curve-b"];
const state = {}; // what is chosen, by the id of its control; `off`, values that the filter hides; `hidden` rows

// ---- small things

const unique = (values) => [...new Set(values)];
const present = (value) => value !== null && value !== undefined;
const escaped = (text) => text.replace(/[&<>]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[sign]); // Plotly reads tags
const probe = document.body.appendChild(make("i")); // has each colour as the theme gives it
const variable = (name) => {
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color; // rgb(0, 114, 178)
};
const colour = (row) => variable(`--series-${row % COLOURS}`);
const metricPlace = (key) => Object.keys(data.metrics).indexOf(key);
const axis = (text, more = {}) => ({ title: { text: escaped(text) }, ...more });

// ---- which runs, and which cells of the tables

const passes = (run) => data.filters.every((key) => !state.off.has(`${key}=${run[key]}`));
const runsOf = (cell) => cell.runs.map((place) => data.runs[place]).filter(passes);
const here = () => data.cells.filter((cell) => cell.setting === +state.setting && runsOf(cell).length);
const visible = () => here().filter((cell) => !state.hidden.has(cell.row));
const atColumn = (list) => list.filter((one) => one.column === state.column);
const rowsOf = (list) => unique(list.map((one) => one.row)).sort((a, b) => a - b);

// A cell while all of its runs pass the filter; else those that do, which have the same form.
function parts(cell) {
  const runs = runsOf(cell);
  return cell.metrics && runs.length === cell.runs.length ? [cell] : runs;
}

const point = (x, [y, std, n] = []) => ({ x, y, std: std ?? 0, n: n ?? 1 });
const GAP = { x: null, y: null, std: 0, n: 0 };

// ---- figures: each function returns its traces and layout

function lines(row, points, dash, name = "") {
  if (!points.some(({ y }) => present(y))) return [];
  const x = points.map((one) => one.x);
  const made = [];
  if (points.some(({ std }) => std > 0) && points.every((one) => typeof one.x === "number")) {
    made.push({
      x: [...x, ...x.toReversed()], y: [...points.map(({ y, std }) => y + std), ...points.map(({ y, std }) => y - std).reverse()],
      fill: "toself", fillcolor: colour(row).replace("rgb(", "rgba(").replace(")", ", 0.15)"), line: { width: 0 }, mode: "lines", hoverinfo: "skip", meta: "band",
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

// Several runs of one cell are points one above the other, which no line connects.
function byColumn(key, dash, name) {
  const cells = visible();
  return rowsOf(cells).flatMap((row) => {
    const points = cells.filter((cell) => cell.row === row).flatMap((cell) => {
      const all = parts(cell).map((part) => point(cell.x, part.metrics[state.protocol]?.[metricPlace(key)])).filter(({ y }) => present(y));
      return all.length > 1 ? all.flatMap((one) => [GAP, one, GAP]) : all;
    });
    return lines(row, points, dash, name);
  });
}

function byEpoch(curve, dash, name) {
  return atColumn(visible()).flatMap((cell) => {
    const curves = parts(cell).map((part) => (part.curves[curve] ?? []).map(([epoch, ...values]) => point(epoch, values)));
    return lines(cell.row, curves.flatMap((points, i) => (i ? [GAP, ...points] : points)), dash, name);
  });
}

function heatmap(shares, counts, unit) {
  if (!shares) return [[], {}];
  const named = (data.classes[state.setting] ?? []).map(escaped);
  const names = new Set(named).size === shares.length ? named : shares.map((_, place) => String(place));
  const traces = [{
    type: "heatmap", z: shares, x: names, y: names, customdata: counts ?? shares, zmin: 0, zmax: 1,
    colorscale: [[0, variable("--page")], [1, variable("--accent")]], colorbar: { thickness: 10, outlinewidth: 0 }, meta: "heatmap",
    hovertemplate: `true %{y}<br>${unit} %{x}<br>%{z:.1%}${counts ? " (%{customdata})" : ""}<extra></extra>`,
  }];
  return [traces, {
    hovermode: "closest", xaxis: axis(unit, { type: "category", showgrid: false }),
    yaxis: axis("true class", { type: "category", autorange: "reversed", showgrid: false }),
  }];
}

const epochFigure = (curve) => [byEpoch(curve), { xaxis: axis("epoch"), yaxis: axis(data.curves[curve] ?? "") }];

const FIGURES = {
  against: () => [byColumn(state.metric), { xaxis: axis(data.columnLabel), yaxis: axis(data.metrics[state.metric]) }],
  "epochs-a": () => epochFigure(state["curve-a"]),
  "epochs-b": () => epochFigure(state["curve-b"]),
  memorisation: () => [
    [
      ...byEpoch("fitted_correct", "dot", ", correct labels"),
      ...byEpoch("fitted_wrong", "solid", ", wrong labels").map((trace) => ({ ...trace, yaxis: "y2" })),
    ],
    { // one above the other: wrong labels are few, and would be a flat line below the correct ones
      xaxis: axis("epoch", { anchor: "y2" }),
      yaxis: axis("correct", { rangemode: "tozero", domain: [0.56, 1] }),
      yaxis2: axis("wrong", { rangemode: "tozero", domain: [0, 0.44] }),
    },
  ],
  errors: () => [
    [...byColumn("test/error", "solid", ", test"), ...byColumn("train/error", "dot", ", train")],
    { xaxis: axis(data.columnLabel), yaxis: axis("error, %") },
  ],
  confusion() {
    const matrix = atColumn(visible()).find((cell) => cell.row === +state.row)?.confusion[state.protocol];
    return heatmap(matrix?.share, matrix?.count, "predicted");
  },
  transition: () => heatmap(data.transitions[state.setting]?.[state.column], null, "given label"),
  time() {
    const value = (run) => run.metrics[state.protocol]?.[metricPlace(state.metric)]?.[0];
    const runs = atColumn(data.runs).filter((run) =>
      run.setting === +state.setting && passes(run) && !state.hidden.has(run.row) && present(value(run)) && present(run.seconds));
    const traces = rowsOf(runs).map((row) => {
      const mine = runs.filter((run) => run.row === row);
      return {
        x: mine.map((run) => run.seconds), y: mine.map(value), mode: "markers", meta: "points",
        name: escaped(data.series[row]), text: mine.map((run) => `seed ${run.seed}`), marker: { color: colour(row), size: 8 },
        hovertemplate: "%{y:.4~g} after %{x:.4~g} s, %{text}<extra>%{fullData.name}</extra>",
      };
    });
    return [traces, { hovermode: "closest", xaxis: axis("training time, s"), yaxis: axis(data.metrics[state.metric]) }];
  },
};

function draw(id) {
  // The tables do not wait for 5 MB of Plotly: it stands in the page as text, and runs before the first figure.
  if (!window.Plotly) document.head.append(make("script", { textContent: byId("plotly").textContent }));
  const element = byId(id);
  const [traces, layout] = FIGURES[id]();
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
  const line = { gridcolor: variable("--line"), zeroline: false, showline: true, linecolor: variable("--line"), automargin: true };
  const base = {
    showlegend: false, hovermode: "x unified", margin: { l: 55, r: 12, t: 8, b: 42 }, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 12, color: variable("--text") },
    hoverlabel: { bgcolor: variable("--surface"), bordercolor: variable("--line"), font: { color: variable("--text") } },
    dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false, template: { layout: { xaxis: line, yaxis: line } },
  };
  Plotly.react(element, traces, { ...base, ...layout }, { responsive: true, displayModeBar: false });
}

// Only what can be seen is drawn; the rest when it comes into view.
const watcher = new IntersectionObserver((entries) => {
  for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
    watcher.unobserve(target);
    draw(target.id);
  }
}, { rootMargin: "200px" });

function drawAll() {
  watcher.disconnect();
  for (const id of Object.keys(FIGURES)) watcher.observe(byId(id));
}

// ---- controls

// Fills a control with what there is to choose; what was chosen stays, if it is still there.
function offer(id, entries, other = 0) {
  if (!entries.some(([value]) => String(value) === state[id])) state[id] = String(entries[other]?.[0] ?? "");
  fill(byId(id), entries, state[id]);
}

function update() {
  for (const id of CHOICES) state[id] = byId(id).value;
  state.off = new Set([...byId("filters").querySelectorAll("input:not(:checked)")].map(({ name, value }) => `${name}=${value}`));
  state.hidden = new Set([...byId("legend").querySelectorAll("[aria-pressed=false]")].map(({ value }) => +value));
  const settings = unique(data.cells.filter((cell) => runsOf(cell).length).map((cell) => cell.setting));
  offer("setting", settings.map((place) => [place, data.settings[place]]));
  const cells = here();
  const columns = data.columns[state.setting]?.filter((text) => cells.some((cell) => cell.column === text)) ?? [];
  offer("column", columns.map((value) => [value, value]), Math.floor(columns.length / 2));
  offer("row", rowsOf(visible()).map((row) => [row, data.series[row]]));
  for (const button of byId("legend").children) button.hidden = !cells.some((cell) => cell.row === +button.value);
  for (const place of document.querySelectorAll(".at")) place.textContent = `at ${data.columnLabel} ${state.column}`;
  const [metric, protocol] = [data.metrics[state.metric], data.protocols[state.protocol]];
  byId("against-title").textContent = `${metric} against ${data.columnLabel}, ${protocol}`;
  byId("time-title").textContent = `${metric} (${protocol}) against training time at ${data.columnLabel} ${state.column}`;
  byId("errors-title").textContent = `Error on the test set (solid) and on the given training labels (dotted), ${protocol}`;
  byId("filter-count").textContent = `${data.runs.filter(passes).length} of ${data.runs.length} runs`;
  runRows.forEach((row, place) => { row.hidden = !passes(data.runs[place]); });
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

const runRows = [...byId("runs-table").tBodies[0].rows]; // in the order of data.runs, which sorting does not change

// The table of runs has a column for each protocol, with the chosen metric.
function showMetric() {
  const metric = byId("metric").value;
  const headers = [...byId("runs-table").tHead.rows[0].cells];
  Object.entries(data.protocols).forEach(([protocol, text], column) => {
    const header = headers[FACTS + column];
    header.firstChild.textContent = `${data.metrics[metric]}: ${text}`;
    header.setAttribute("aria-sort", "none");
    runRows.forEach((row, place) => {
      const value = data.runs[place].metrics[protocol]?.[metricPlace(metric)]?.[0];
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
    listed("Configuration that differs between runs", run.config),
    listed("Configuration that all runs share", data.common),
  );
  byId("run").showModal();
}

// ---- start

byId("metric").addEventListener("change", showMetric);
document.addEventListener("change", update);
byId("filter-reset").addEventListener("click", () => {
  byId("filters").reset();
  update();
});
byId("legend").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  button?.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") === "false"));
  update();
});
byId("runs-table").tBodies[0].addEventListener("click", ({ target }) => {
  if (target.tagName === "BUTTON") showRun(data.runs[runRows.indexOf(target.closest("tr"))]);
});
document.addEventListener("click", ({ target }) => {
  const header = target.closest("table.sortable thead button")?.closest("th");
  if (header) sortBy(header);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
showMetric();
update();
