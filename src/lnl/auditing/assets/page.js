// ---- filters, counts, keys

function showCounts() {
  const of = (kind) => decided.filter((value) => value?.[0] === kind).length;
  const done = decided.filter(Boolean).length;
  byId("progress").value = done;
  byId("counts").textContent =
    `${counted(done)} of ${counted(size)}: ${counted(of("keep"))} keep, ${counted(of("change"))} change, ${counted(of("unsure"))} unsure`;
  byId("undo").disabled = !past.length;
  byId("export").disabled = !done;
  byId("empty").hidden = places.some(passes);
  const [sentence, short] = leftText(wrongLeft(decided.map((value) => value?.[0] ?? ""), data.samples), of("unsure"), counted);
  byId("left").textContent = sentence;
  byId("short").textContent = short;
  showTogether();
}

// The undecided pictures of one pair can be decided together: look through them, decide the exceptions, then the others.
function undecidedOfPair() {
  return filter.pair ? places.filter((place) => passes(place) && !decided[place]) : [];
}

function showTogether() {
  const open = undecidedOfPair();
  byId("together").hidden = !open.length;
  if (!open.length) return;
  const whole = open.length === places.filter((place) => pairOf(place) === filter.pair).length;
  const which = `${whole ? "all" : "the other"} ${counted(open.length)}`;
  byId("together").querySelector("[value=change]").textContent = `Change ${which} to ${named(data.suggested[open[0]])}`;
  byId("together").querySelector("[value=keep]").textContent = `Keep ${which} as ${named(data.given[open[0]])}`;
}

function decideTogether(kind) {
  const open = undecidedOfPair();
  decide(open.map((place) => [place, decision(place, kind)]));
  say(`${counted(open.length)} decided together: ${outcome(open[0])}`);
  byId("undo").focus({ preventScroll: true });
}

function setFilter(changes) {
  Object.assign(filter, changes);
  byId("pair").value = filter.pair;
  byId("state").value = filter.state;
  for (const place of places) cards[place].hidden = !passes(place);
  for (const button of byId("matrix").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.value === filter.pair));
  }
  const first = places.find(passes);
  if (!passes(current) && first !== undefined) go(first, false);
  showCounts();
}

function clickedMatrix({ target }) {
  if (target.tagName !== "BUTTON") return;
  if (target.value === filter.pair) return setFilter({ pair: "" });
  setFilter({ pair: target.value, state: "" });
  go(places.find(passes));
  fitBar();
  byId("sheet").scrollIntoView({ behavior: "instant" });
}

// What is scrolled to stays clear of the bar, whose height changes.
function fitBar() {
  byId("sheet").style.setProperty("--bar", `${byId("bar").offsetHeight}px`);
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

function pressed(event) {
  if (event.altKey || event.target.closest?.("select, input")) return;
  const key = event.key.toLowerCase();
  if (key === "z" && !event.shiftKey) {
    event.preventDefault();
    return undo();
  }
  if (event.ctrlKey || event.metaKey) return;
  const here = viewer.open || (byId("sheet").contains(event.target) && passes(current));
  if (KEYS[key] && !here && event.target === document.body && passes(current)) go(current); // it may be out of sight: decide at the next press
  if (!here) return;
  const columns = () => (viewer.open ? 1 : getComputedStyle(byId("sheet")).gridTemplateColumns.split(" ").length);
  const steps = { arrowleft: () => -1, arrowright: () => 1, arrowup: () => -columns(), arrowdown: columns, home: () => -size, end: () => size };
  if (KEYS[key]) go(choose(current, KEYS[key]));
  else if (steps[key]) go(neighbour(current, steps[key]()));
  else if (key === "enter" && event.target === cards[current]) look(current);
  else return;
  event.preventDefault();
}

function clicked(event) {
  const card = event.target.closest("li");
  if (!card || event.target.closest("select")) return; // Chromium sends a click after a choice, too
  const place = +card.dataset.place;
  const button = event.target.closest("button");
  if (button?.classList.contains("look")) return look(place);
  go(place, false);
  if (!button) return;
  const again = decided[place]?.[0] === button.value;
  const next = choose(place, again ? null : button.value);
  if (!again || !passes(place)) go(next, !passes(place)); // keys are about the next picture then
}

// ---- files

async function copy() {
  const command = byId("command");
  try {
    await navigator.clipboard.writeText(command.textContent);
    say("The command is copied");
  } catch { // the browser does not let pages copy
    getSelection().selectAllChildren(command);
    say("The command is selected: copy it");
  }
}

async function readFile({ target }) {
  const [file] = target.files;
  target.value = ""; // so that the same file can be read again
  try {
    read((await file.text()).replace(/^\uFEFF/, ""));
  } catch (error) {
    say(`${file.name} cannot be read: ${error.message}`);
  }
}

// ---- start

function listen() {
  const sheet = byId("sheet");
  const on = (id, type, handler) => byId(id).addEventListener(type, handler);
  for (const key of ["pair", "state"]) on(key, "change", (event) => setFilter({ [key]: event.target.value }));
  on("side", "change", (event) => sheet.style.setProperty("--side", `${event.target.value}px`));
  on("matrix", "click", clickedMatrix);
  on("matrix", "keydown", moveInMatrix);
  on("sheet", "click", clicked);
  on("sheet", "change", ({ target }) => {
    const place = +target.closest("li").dataset.place;
    const next = choose(place, target.value === "" ? null : "change", +target.value);
    if (target.value !== "" || !passes(place)) go(next); // out of the list, which would take the keys
  });
  document.addEventListener("keydown", pressed);
  on("undo", "click", undo);
  on("together", "click", ({ target }) => { if (target.value) decideTogether(target.value); });
  on("export", "click", save);
  on("copy", "click", copy);
  on("import", "click", () => byId("file").click());
  on("file", "change", readFile);
  window.addEventListener("storage", ({ key }) => { // another tab with this page
    if (key !== data.key) return;
    recall();
    past.length = 0;
    places.forEach(showCard);
    showCounts();
  });
  new ResizeObserver(fitBar).observe(byId("bar"));
}

function start() {
  if (!size) return;
  for (const cell of byId("matrix").querySelectorAll("[data-share]")) cell.style.setProperty("--share", cell.dataset.share);
  byId("matrix").querySelector("button").tabIndex = 0;
  recall();
  byId("side").value = data.tiny ? 128 : 256;
  byId("sheet").style.setProperty("--side", `${byId("side").value}px`);
  byId("sheet").classList.toggle("unnamed", !data.file.some(Boolean));
  places.forEach(showCard);
  listen();
  startViewer();
  setFilter({});
  go(0, false);
  for (const card of cards) watcher.observe(card);
}

start();
