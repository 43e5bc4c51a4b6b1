// One suspect has one place: in data's lists, in `decided`, and in `cards`.

const COLUMNS = ["index", "file", "given_label", "suggested_label", "decision", "label", "audited"];
const KEYS = { k: "keep", c: "change", u: "unsure" };
const size = data.index.length;
const places = [...Array(size).keys()];
const decided = Array(size).fill(null); // or [decision, the label's place in data.classes from now on]
const past = []; // of lists of [place, what was decided before]
const filter = { pair: "", state: "" }; // a pair of classes, a decision; all if empty
const cards = [...document.querySelectorAll("#sheet li")];
let current = 0;

const named = (label) => data.classes[label];
const pairOf = (place) => `${data.given[place]},${data.suggested[place]}`;
const counted = new Intl.NumberFormat("en").format;
const passes = (place) =>
  (!filter.pair || pairOf(place) === filter.pair) && (!filter.state || (decided[place]?.[0] ?? "undecided") === filter.state);
const outcome = (place) => {
  const [kind, label] = decided[place] ?? ["undecided"];
  return kind === "change" ? `change to ${named(label)}` : kind;
};
const say = (text) => { byId("message").textContent = text; };

// ---- decisions, and where they are kept

function decision(place, kind, other) {
  const before = decided[place];
  const label = kind === "change" ? other ?? (before?.[0] === "change" ? before[1] : data.suggested[place]) : data.given[place];
  return [kind, label];
}

function decide(entries) {
  past.push(entries.map(([place]) => [place, decided[place]]));
  apply(entries);
}

function apply(entries) {
  for (const [place, value] of entries) {
    decided[place] = value;
    showCard(place);
  }
  keep();
  showCounts();
}

function undo() {
  const last = past.pop();
  if (!last) return;
  apply(last);
  say(last.length > 1 ? `Undone: ${counted(last.length)} decisions` : `Undone: ${data.title[last[0][0]]}`);
  if (passes(last[0][0])) go(last[0][0]);
}

function refused() {
  byId("refused").hidden = false;
  window.onbeforeunload = () => true;
}

function keep() {
  const entries = places.filter((place) => decided[place]).map((place) => [data.index[place], decided[place]]);
  try {
    localStorage.setItem(data.key, JSON.stringify(Object.fromEntries(entries)));
  } catch {
    refused();
  }
}

function recall() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem(data.key)) ?? {};
  } catch {
    refused();
  }
  for (const place of places) decided[place] = kept[data.index[place]] ?? null;
}

// ---- CSV

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function written() {
  const rows = places.filter((place) => decided[place]).map((place) => [
    String(data.index[place]), data.file[place], named(data.given[place]), named(data.suggested[place]),
    decided[place][0], named(decided[place][1]), data.audited,
  ]);
  return [COLUMNS, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

function save() {
  const link = make("a", { href: URL.createObjectURL(new Blob([written()], { type: "text/csv" })), download: "decisions.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  window.onbeforeunload = null;
  say(`${counted(decided.filter(Boolean).length)} decisions are in decisions.csv`);
}

function rowsOf(text) {
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n?|\n|$)/y;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) throw new Error("it is not a CSV with commas and double quotes");
    rows.at(-1).push(found[1].startsWith('"') ? found[1].slice(1, -1).replaceAll('""', '"') : found[1]);
    if (found[2] !== ",") rows.push([]);
  }
  return rows.filter((row) => row.length > 1);
}

function read(text) {
  const [header = [], ...rows] = rowsOf(text);
  const missing = ["index", "given_label", "decision", "label"].filter((name) => !header.includes(name));
  if (missing.length) throw new Error(`it has no column ${missing.join(", ")}`);
  const placeOf = new Map(data.index.map((index, place) => [String(index), place]));
  const entries = rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i]]))).flatMap((row) => {
    const place = placeOf.get(row.index);
    const label = data.classes.indexOf(row.label);
    const fits = (row.audited || data.audited) === data.audited && place !== undefined && named(data.given[place]) === row.given_label && label >= 0;
    return fits && Object.values(KEYS).includes(row.decision) ? [[place, decision(place, row.decision, label)]] : [];
  });
  if (entries.length) decide(entries);
  const strange = rows.length - entries.length;
  say(`${counted(entries.length)} decisions read${strange ? `; ${counted(strange)} rows are about other samples or classes` : ""}`);
}

// ---- cards

// Only cards near the window have content: a thousand of them would make every change wait for their layout.
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const place = +target.dataset.place;
    if (isIntersecting) fillCard(place);
    else if (place !== current) target.replaceChildren();
  }
}, { rootMargin: "800px" });

function fillCard(place) {
  const card = cards[place];
  if (card.firstChild) return;
  card.append(byId("card").content.cloneNode(true));
  card.querySelector("img").src = data.pictures[place];
  card.querySelector(".rank").textContent = data.rank[place];
  card.querySelectorAll(".label").forEach((line, i) => {
    line.querySelector("b").textContent = line.title = named([data.given, data.suggested][i][place]);
  });
  const file = card.querySelector(".file");
  file.textContent = file.title = data.file[place] || `sample ${data.index[place]}`;
  const others = data.classes.map((name, label) => [label, name])
    .filter(([label]) => label !== data.given[place] && label !== data.suggested[place]);
  fill(card.querySelector("select"), [["", "another label …"], ...others], "");
  setTab(place, card.tabIndex);
  showCard(place);
}

function showCard(place) {
  const card = cards[place];
  const [kind, label] = decided[place] ?? [];
  card.dataset.decision = kind ?? "";
  card.setAttribute("aria-label", `${data.title[place]}, ${data.file[place]}: ${outcome(place)}`);
  card.hidden = !passes(place);
  if (!card.firstChild) return;
  for (const button of card.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.value === kind));
  const select = card.querySelector("select");
  const other = kind === "change" && label !== data.suggested[place];
  select.value = other ? label : "";
  select.classList.toggle("chosen", other);
}

function showCounts() {
  const of = (kind) => counted(decided.filter((value) => value?.[0] === kind).length);
  const done = decided.filter(Boolean).length;
  byId("progress").value = done;
  byId("counts").textContent =
    `${counted(done)} of ${counted(size)}: ${of("keep")} keep, ${of("change")} change, ${of("unsure")} unsure`;
  byId("undo").disabled = !past.length;
  byId("export").disabled = !done;
  byId("empty").hidden = places.some(passes);
}

function setTab(place, tab) {
  for (const element of [cards[place], ...cards[place].querySelectorAll("button, select")]) element.tabIndex = tab;
}

// Only the current card can be reached by tab, so that a thousand of them are not in the way.
function go(place, focus = true) {
  setTab(current, -1);
  setTab(place, 0);
  current = place;
  if (!focus) return;
  cards[place].focus({ preventScroll: true });
  cards[place].scrollIntoView({ block: "nearest", behavior: "instant" });
}

function neighbour(place, step) {
  const shown = places.filter((other) => other === place || passes(other));
  return shown[Math.min(Math.max(shown.indexOf(place) + step, 0), shown.length - 1)];
}

function choose(place, kind, other) {
  const next = neighbour(place, 1);
  const previous = neighbour(place, -1);
  decide([[place, kind && decision(place, kind, other)]]);
  say(`${data.title[place]}: ${outcome(place)}`);
  return next === place ? previous : next;
}

function setFilter(changes) {
  Object.assign(filter, changes);
  byId("pair").value = filter.pair;
  byId("state").value = filter.state;
  for (const place of places) cards[place].hidden = !passes(place);
  for (const button of byId("matrix").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === filter.pair));
  }
  byId("rate").textContent = data.rates[filter.pair] ?? "";
  const first = places.find(passes);
  if (!passes(current) && first !== undefined) go(first, false);
  showCounts();
}

function moveInMatrix(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!step || event.target.tagName !== "BUTTON") return;
  event.preventDefault();
  const { rows } = event.currentTarget;
  let [row, column] = [event.target.closest("tr").rowIndex, event.target.parentElement.cellIndex];
  let next;
  do {
    [row, column] = [row + step[0], column + step[1]];
    next = rows[row]?.cells[column];
  } while (next && !next.querySelector("button"));
  if (!next) return;
  event.target.tabIndex = -1;
  next.firstChild.tabIndex = 0;
  next.firstChild.focus();
}

// ---- start

function pressed(event) {
  if (event.altKey || event.target.closest?.("select, input")) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey || event.metaKey) return;
  const here = byId("sheet").contains(event.target) && passes(current);
  if (KEYS[key] && !here && event.target === document.body && passes(current)) go(current); // it may be out of sight: decide at the next press
  if (!here) return;
  const columns = () => getComputedStyle(byId("sheet")).gridTemplateColumns.split(" ").length;
  const steps = { arrowleft: () => -1, arrowright: () => 1, arrowup: () => -columns(), arrowdown: columns, home: () => -size, end: () => size };
  if (KEYS[key]) go(choose(current, KEYS[key]));
  else if (steps[key]) go(neighbour(current, steps[key]()));
  else return;
  event.preventDefault();
}

function clicked(event) {
  const card = event.target.closest("li");
  if (!card) return;
  const place = +card.dataset.place;
  go(place, false);
  const button = event.target.closest("button");
  if (!button) return;
  const next = choose(place, decided[place]?.[0] === button.value ? null : button.value);
  if (!passes(place)) go(next);
}

function start() {
  for (const cell of byId("matrix").querySelectorAll("[data-share]")) cell.style.setProperty("--share", cell.dataset.share);
  byId("matrix").querySelector("button")?.setAttribute("tabindex", 0);
  if (!size) return;
  recall();
  const sheet = byId("sheet");
  sheet.classList.toggle("tiny", data.tiny);
  sheet.classList.toggle("unnamed", !data.file.some(Boolean));
  places.forEach(showCard);
  for (const key of ["pair", "state"]) byId(key).addEventListener("change", (event) => setFilter({ [key]: event.target.value }));
  byId("side").addEventListener("change", (event) => sheet.style.setProperty("--side", `${event.target.value}px`));
  byId("matrix").addEventListener("click", ({ target }) => {
    if (target.tagName !== "BUTTON") return;
    setFilter({ pair: target.value === filter.pair ? "" : target.value });
    byId("bar").scrollIntoView({ block: "nearest" });
  });
  byId("matrix").addEventListener("keydown", moveInMatrix);
  sheet.addEventListener("click", clicked);
  sheet.addEventListener("change", ({ target }) => {
    const place = +target.closest("li").dataset.place;
    const next = choose(place, target.value === "" ? null : "change", +target.value);
    if (!passes(place)) go(next);
  });
  document.addEventListener("keydown", pressed);
  byId("undo").addEventListener("click", undo);
  byId("export").addEventListener("click", save);
  byId("import").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    target.value = ""; // so that the same file can be read again
    try {
      read((await file.text()).replace(/^\uFEFF/, ""));
    } catch (error) {
      say(`${file.name} cannot be read: ${error.message}`);
    }
  });
  window.addEventListener("storage", ({ key }) => { // another tab with this page
    if (key !== data.key) return;
    recall();
    past.length = 0;
    places.forEach(showCard);
    showCounts();
  });
  setFilter({});
  go(0, false);
  for (const card of cards) watcher.observe(card);
}

start();
