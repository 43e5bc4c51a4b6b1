// ---- unusual pictures, which are no doubtful labels: a section for each kind, filled when it is first opened

function enlarge({ picture, link, name, label }) {
  const larger = byId("larger");
  const image = larger.querySelector("img");
  image.src = picture;
  if (link && link !== picture) { // the file, with all of its pixels, once it is there
    const original = make("img", { src: link });
    original.onload = () => { if (image.src === picture) image.src = original.src; };
  }
  byId("larger-caption").textContent = `${name} · ${label}`;
  larger.showModal();
}

function figure(shown) {
  const image = make("img", { src: shown.picture || "data:,", alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("load", showPixels);
  const button = make("button", { type: "button", className: "look", ariaLabel: `Enlarge ${shown.name}` }, image);
  button.addEventListener("click", () => enlarge(shown));
  const fault = make("p", { className: "fault", textContent: `This picture cannot be shown: ${shown.fault}` });
  const file = make("span", { textContent: shown.name, title: shown.name });
  return make("figure", {}, shown.fault ? fault : button, make("figcaption", {}, make("b", { textContent: shown.label }), file));
}

function section({ title, note, total, rows }) {
  const part = rows.length < total ? `the first ${counted(rows.length)} of ${counted(total)}` : counted(total);
  const list = make("ul", { className: "kinds" });
  for (const row of rows) {
    const item = make("li", {}, ...row.pictures.map(figure));
    if (row.differs) item.prepend(make("p", {}, make("span", { className: "chip", textContent: "different labels" })));
    list.append(item);
  }
  return [make("h3", { textContent: `${title} (${part})` }), make("p", { className: "note", textContent: note }), list];
}

function startUnusual() {
  const whole = byId("unusual");
  if (!whole) return;
  whole.addEventListener("toggle", () => whole.append(...data.sections.flatMap(section)), { once: true });
  const larger = byId("larger");
  larger.addEventListener("keydown", (event) => event.stopPropagation()); // keys decide nothing here
  larger.addEventListener("click", ({ target }) => { if (target === larger || target.tagName === "BUTTON") larger.close(); });
}

startUnusual();
