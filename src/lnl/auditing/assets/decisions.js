// One suspect has one place, in order of rank: in data's lists, in `decided`, and in `cards`.

const COLUMNS = ["index", "file", "given_label", "suggested_label", "decision", "label", "audited"];
const KEYS = { k: "keep", c: "change", u: "unsure" };
const size = data.index.length;
const places = [...Array(size).keys()];
const decided = Array(size).fill(null); // or [decision, the label's place in data.classes from now on]
const past = []; // of lists of [place, what was decided before]
const filter = { pair: "", state: "" }; // a pair of classes, a decision; all if empty

const named = (label) => data.classes[label];
const pairOf = (place) => `${data.given[place]},${data.suggested[place]}`;
const counted = new Intl.NumberFormat("en").format;
const decisions = (count) => `${counted(count)} decision${count === 1 ? "" : "s"}`;
const passes = (place) =>
  (!filter.pair || pairOf(place) === filter.pair) && (!filter.state || (decided[place]?.[0] ?? "undecided") === filter.state);
const outcome = (place) => {
  const [kind, label] = decided[place] ?? ["undecided"];
  return kind === "change" ? `change to ${named(label)}` : kind;
};
const say = (text) => { byId("message").textContent = text; };

function decision(place, kind, other) {
  const before = decided[place];
  const label = kind === "change" ? other ?? (before?.[0] === "change" ? before[1] : data.suggested[place]) : data.given[place];
  return [kind, label];
}

function decide(entries) {
  past.push(entries.map(([place]) => [place, decided[place]]));
  byId("next").hidden = true; // the exported file is out of date
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
  say(last.length > 1 ? `Undone: ${decisions(last.length)}` : `Undone: ${data.title[last[0][0]]}`);
  if (passes(last[0][0])) go(last[0][0]);
}

// ---- where decisions are kept

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
  byId("next").hidden = false;
  say(`decisions.csv has ${decisions(decided.filter(Boolean).length)}`);
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
  const skipped = `; ${counted(strange)} skipped, about other data, samples or classes, or no decision`;
  say(`${decisions(entries.length)} read${strange ? skipped : ""}`);
}

