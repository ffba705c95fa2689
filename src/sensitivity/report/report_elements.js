// Elements, numbers as text, and the box with a unit's numbers beside the pointer. Text from the report only
// ever becomes text nodes.

const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) continue;
    if (name === "style") {
      for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const NOTHING = "–";

// Three digits that count: 0.0123, 1.20e−5.
function short(value, digits = 3) {
  if (!isNumber(value)) return NOTHING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e-3 && size < 1e5 ? fixed(value, digits) : value.toExponential(digits - 1);
  return text.replace("e+", "e").replaceAll("-", "−");
}

function fixed(value, digits) {
  const before = Math.floor(Math.log10(Math.abs(value)) + 1e-12) + 1;
  return value.toFixed(Math.max(0, digits - before));
}

const percent = (value, decimals = 1) => (isNumber(value) ? `${(100 * value).toFixed(decimals)}%` : NOTHING);
const whole = (value) => value.toLocaleString("en");

function amount(value) {
  for (const [size, unit] of [
    [1e9, " G"],
    [1e6, " M"],
    [1e3, " k"],
  ]) {
    if (value >= size) return short(value / size) + unit;
  }
  return String(value);
}

function decibels(local) {
  if (!local) return NOTHING;
  if (local.sqnr_db === null && local.relative_error === 0) return "∞";
  return isNumber(local.sqnr_db) ? local.sqnr_db.toFixed(1).replace("-", "−") : NOTHING;
}

// "0.0123 ± 0.0008", the second part paler.
function klText(error) {
  const kl = make("span", {}, short(error ? error.kl : null));
  if (error && isNumber(error.kl)) {
    kl.append(
      make(
        "span",
        { class: "deviation" },
        isNumber(error.kl_stderr) ? `\u00a0± ${short(error.kl_stderr, 2)}` : "",
      ),
    );
  }
  return kl;
}

// A path that may break behind its slashes, with what tells the unit from its neighbours in bold.
function unitName(unit) {
  const path = (text) => text.split(/(?<=\/)/).flatMap((piece) => [piece, make("wbr")]);
  const start = unit.kind === "" ? unit.name.indexOf(unit.layer) : unit.name.lastIndexOf(unit.kind);
  const length = (unit.kind === "" ? unit.layer : unit.kind).length;
  if (start < 0 || length === 0) return make("span", { class: "name" }, make("b", {}, ...path(unit.name)));
  return make(
    "span",
    { class: "name" },
    ...path(unit.name.slice(0, start)),
    make("b", {}, ...path(unit.name.slice(start, start + length))),
    ...path(unit.name.slice(start + length)),
  );
}

// Told apart by colour and by form.
const partColor = (index) => `var(--part-${index % 4})`;

function partMark(index) {
  return make("span", {
    class: index % 2 === 0 ? "part" : "part square",
    style: { color: partColor(index) },
  });
}

function showTip(target, content) {
  const tip = byId("tip");
  tip.replaceChildren(...content);
  tip.hidden = false;
  const place = target.getBoundingClientRect();
  const box = tip.getBoundingClientRect();
  const left = Math.min(
    Math.max(8, place.left + place.width / 2 - box.width / 2),
    innerWidth - box.width - 8,
  );
  const above = place.top - box.height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above >= 8 ? above : place.bottom + 8}px`;
}

function hideTip() {
  byId("tip").hidden = true;
}

// Pointer and keyboard for the marks of a chart: hovering and the arrow keys show a mark's numbers, a click
// or Enter chooses it. `marks` are { element, x, y, tip, choose } with x and y in any one unit.
function makeLively(svg, marks) {
  let active = null;
  const activate = (mark) => {
    if (active) active.element.classList.remove("active");
    active = mark;
    if (!mark) return hideTip();
    mark.element.classList.add("active");
    showTip(mark.element, mark.tip());
  };
  for (const mark of marks) {
    mark.element.addEventListener("pointerenter", () => activate(mark));
    mark.element.addEventListener("pointerleave", () => activate(null));
    mark.element.addEventListener("click", mark.choose);
  }
  svg.addEventListener("blur", () => activate(null));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === "Escape") return activate(null);
    if (event.key === "Enter" && active) return active.choose();
    if (!step || marks.length === 0) return;
    event.preventDefault();
    activate(active ? nextMark(marks, active, step) : marks[0]);
  });
}

// The nearest one in that direction; sideways counts three times.
function nextMark(marks, from, [dx, dy]) {
  let best = from;
  let least = Infinity;
  for (const mark of marks) {
    const along = (mark.x - from.x) * dx + (mark.y - from.y) * dy;
    const across = Math.abs((mark.x - from.x) * dy) + Math.abs((mark.y - from.y) * dx);
    if (along > 0 && along + 3 * across < least) {
      least = along + 3 * across;
      best = mark;
    }
  }
  return best;
}
