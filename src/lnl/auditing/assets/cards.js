// ---- the cards of the suspects, and the viewer, which shows one of them larger

const TINY = 96; // pixels; up to this size, pictures are shown pixel by pixel
const cards = [...document.querySelectorAll("#sheet li")];
const viewer = byId("viewer");
let current = 0;

// Only cards near the window have content: a thousand of them would make every change wait for their layout.
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const place = +target.dataset.place;
    if (isIntersecting) fillCard(place);
    else if (place !== current) target.replaceChildren();
  }
}, { rootMargin: "800px" });

const nameOf = (place) => data.file[place] || `sample ${data.index[place]}`;

function showPixels({ target }) {
  target.classList.toggle("tiny", Math.max(target.naturalWidth, target.naturalHeight) <= TINY);
}

function fillCard(place) {
  const card = cards[place];
  if (card.firstChild) return;
  card.append(byId("card").content.cloneNode(true));
  const [look, picture, fault] = [".look", "img", ".fault"].map((selector) => card.querySelector(selector));
  const unreadable = (reason) => {
    look.hidden = true;
    fault.textContent = fault.title = `This picture cannot be shown: ${reason}`;
  };
  picture.addEventListener("load", showPixels);
  picture.addEventListener("error", () => unreadable(`there is no picture at ${data.link[place]}`));
  if (data.picture[place]) picture.src = data.picture[place];
  else unreadable(data.fault[place]);
  card.querySelector(".rank span").textContent = data.rank[place];
  card.querySelector(".flag").hidden = !data.flagged[place];
  const unusual = card.querySelector(".chip");
  unusual.hidden = !data.unusual[place];
  unusual.textContent = unusual.title = data.unusual[place];
  card.querySelectorAll(".label").forEach((line, i) => {
    line.querySelector("b").textContent = line.title = named([data.given, data.suggested][i][place]);
  });
  const file = card.querySelector(".file");
  file.textContent = file.title = nameOf(place);
  const others = data.classes.map((name, label) => [label, name])
    .filter(([label]) => label !== data.given[place] && label !== data.suggested[place]);
  fill(card.querySelector("select"), [["", "another label …"], ...others], "");
  setTab(place, card.tabIndex);
  showCard(place);
}

function showButtons(group, kind) {
  for (const button of group.querySelectorAll(".decide button")) button.setAttribute("aria-pressed", String(button.value === kind));
}

function showCard(place) {
  const card = cards[place];
  const [kind, label] = decided[place] ?? [];
  card.dataset.decision = kind ?? "";
  const flagged = (data.flagged[place] ? ", flagged" : "") + (data.unusual[place] ? `, ${data.unusual[place]}` : "");
  card.setAttribute("aria-label", `${data.title[place]}${flagged}, ${data.file[place]}: ${outcome(place)}`);
  card.hidden = !passes(place);
  if (viewer.open && place === current) showViewer();
  if (!card.firstChild) return;
  showButtons(card, kind);
  const select = card.querySelector("select");
  const other = kind === "change" && label !== data.suggested[place];
  select.value = other ? label : "";
  select.classList.toggle("chosen", other);
}

function setTab(place, tab) {
  for (const element of [cards[place], ...cards[place].querySelectorAll("button, select")]) element.tabIndex = tab;
}

// Only the current card can be reached by tab, so that a thousand of them are not in the way.
function go(place, focus = true) {
  setTab(current, -1);
  setTab(place, 0);
  current = place;
  if (viewer.open) showViewer();
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

// ---- the viewer

function showViewer() {
  const whole = byId("whole");
  const place = current;
  if (whole.dataset.place !== String(place)) {
    whole.dataset.place = place;
    whole.src = data.picture[place] || "data:,";
    whole.alt = data.fault[place] && `This picture cannot be shown: ${data.fault[place]}`;
    if (data.link[place] && data.link[place] !== data.picture[place]) { // the file, with all of its pixels, once it is there
      const original = make("img", { src: data.link[place] });
      original.onload = () => { if (current === place) whole.src = original.src; };
    }
  }
  byId("caption").textContent = `${data.title[place]}${data.flagged[place] ? ", flagged" : ""} · ${nameOf(place)}`;
  viewer.dataset.decision = decided[place]?.[0] ?? "";
  byId("decision").textContent = outcome(place);
  showButtons(viewer, decided[place]?.[0]);
}

function look(place) {
  go(place, false);
  viewer.showModal();
  viewer.focus(); // none of its buttons: Enter would press it
  showViewer();
}

function startViewer() {
  byId("whole").addEventListener("load", showPixels);
  viewer.addEventListener("close", () => go(current));
  viewer.addEventListener("click", ({ target }) => {
    const button = target.closest("button");
    if (target === viewer || button?.value === "close") viewer.close(); // a click beside the picture closes too
    else if (button?.dataset.step) go(neighbour(current, +button.dataset.step));
    else if (button) choose(current, decided[current]?.[0] === button.value ? null : button.value);
  });
}

