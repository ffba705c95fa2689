// The least error against the size it costs, both logarithmic, and the plans that were made: predicted as a
// ring, measured as a disc. It does not depend on the choice of format and direction.

const FRONT = { height: 420, left: 64, right: 18, top: 48, bottom: 48, shelf: 30 };
const LABEL_HEIGHT = 15;
const ROOM_OF_DOT = 16; // with less of it dots would hide the line, and show only when they are pointed at
const errorLabel = report.has_logits ? "KL" : "MSE";

function bytesText(bytes) {
  const [size, unit] = byteUnit(bytes);
  return `${short(bytes / size)} ${unit}`;
}

function byteUnit(bytes) {
  const units = [
    [1e12, "TB"],
    [1e9, "GB"],
    [1e6, "MB"],
    [1e3, "kB"],
  ];
  return units.find(([size]) => bytes >= size) ?? [1, "bytes"];
}

const isError = (value) => isNumber(value) && value >= 0;
const ofUnquantized = (bytes) =>
  report.front.unquantized_bytes > 0 ? percent(bytes / report.front.unquantized_bytes) : NOTHING;

// What can be drawn, or null where that is nothing. `bytesOfBit`: of one bit a weight, null when unknown.
function frontShown() {
  const front = report.front;
  if (!front) return null;
  const points = front.points.filter(({ bytes, error }) => bytes > 0 && isError(error));
  const marks = front.marks.filter(
    ({ bytes, predicted, measured }) => bytes > 0 && (isError(predicted) || isError(measured)),
  );
  if (points.length + marks.length === 0) return null;
  const known = [...points, ...marks].filter(({ bits }) => isNumber(bits) && bits > 0).pop();
  return { points, marks, bytesOfBit: known ? known.bytes / known.bits : null };
}

// Bytes and errors to places. An error of 0, which no logarithm has, stands on a shelf below the others, and
// so do those under a millionth of the largest.
function frontPlaces({ points, marks }, width) {
  const sizes = [...points, ...marks].map(({ bytes }) => bytes);
  if (report.front.unquantized_bytes > 0) sizes.push(report.front.unquantized_bytes);
  const errors = [
    ...points.map(({ error }) => error),
    ...marks.flatMap(({ predicted, measured }) => [predicted, measured].filter(isError)),
  ];
  // With a margin, and so wide that there are ticks in it.
  const range = (values, least) => {
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    const margin = Math.max(1.03, (high / low) ** 0.04, Math.sqrt((least * low) / high));
    return [low / margin, high * margin];
  };
  const [left, right] = range(sizes, 1.3);
  const least = errors.reduce((a, b) => Math.max(a, b)) * 1e-6;
  const positive = errors.filter((error) => error > 0 && error >= least);
  const [low, high] = positive.length > 0 ? range(positive, 5) : [0.1, 1];
  const shelf = positive.length < errors.length;
  const bottom = FRONT.height - FRONT.bottom;
  const floor = shelf ? bottom - FRONT.shelf : bottom;
  const share = (value, from, to) => Math.log(value / from) / Math.log(to / from);
  return {
    width,
    left,
    right,
    low,
    high,
    shelf: shelf ? bottom - FRONT.shelf / 3 : null,
    shelfText: errors.some((error) => error > 0 && error < least) ? "≈ 0" : "0",
    x: (bytes) => FRONT.left + share(bytes, left, right) * (width - FRONT.left - FRONT.right),
    y: (error) =>
      error > 0 && error >= low
        ? floor - share(error, low, high) * (floor - FRONT.top)
        : bottom - FRONT.shelf / 3,
  };
}

// Round numbers between the ends, the roundest first, as many as have `gap` pixels between them.
function sparseTicks(low, high, place, gap, ranks) {
  const ticks = [];
  for (const rank of ranks) {
    for (const value of rank) {
      if (value < low || value > high) continue;
      if (ticks.every((other) => Math.abs(place(other) - place(value)) >= gap)) ticks.push(value);
    }
  }
  return ticks.sort((a, b) => a - b);
}

const BIT_RANKS = [
  [4, 8, 16, 32],
  [2, 3, 5, 6, 12, 24],
  [1, 7, 10, 20, 28],
  [1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9, 11, 14, 18, 22],
];

function sizeRanks(low, high) {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1)
    powers.push(10 ** power);
  const steps = [[1], [2, 5], [3, 4, 6, 8], [1.5, 2.5, 7, 9], [1.2, 1.4, 1.6, 1.8, 3.5, 4.5, 5.5]];
  return steps.map((rank) => powers.flatMap((power) => rank.map((step) => step * power)));
}

function frontAxes(at, bytesOfBit) {
  const { left, top } = FRONT;
  const right = at.width - FRONT.right;
  const bottom = FRONT.height - FRONT.bottom;
  const elements = [];
  for (const tick of logTicks(at.low, at.high)) {
    const y = at.y(tick);
    elements.push(
      draw("line", { class: "grid", x1: left, x2: right, y1: y, y2: y }),
      draw("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, tickText(tick)),
    );
  }
  const [size, unit] = byteUnit(at.right);
  for (const tick of sparseTicks(at.left, at.right, at.x, 48, sizeRanks(at.left, at.right))) {
    const x = at.x(tick);
    elements.push(
      draw("line", { class: "grid", x1: x, x2: x, y1: top, y2: bottom }),
      draw("text", { x, y: bottom + 17, "text-anchor": "middle" }, tickText(tick / size)),
    );
  }
  elements.push(draw("rect", { class: "frame", x: left, y: top, width: right - left, height: bottom - top }));
  const middle = (left + right) / 2;
  elements.push(
    draw(
      "text",
      { x: middle, y: FRONT.height - 8, "text-anchor": "middle" },
      `size of the units' weights, ${unit}`,
    ),
    draw(
      "text",
      { transform: `translate(13 ${(top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      report.has_logits ? "KL, nats" : "MSE",
    ),
  );
  if (bytesOfBit !== null) {
    const place = (bits) => at.x(bits * bytesOfBit);
    for (const bits of sparseTicks(at.left / bytesOfBit, at.right / bytesOfBit, place, 40, BIT_RANKS)) {
      const x = place(bits);
      elements.push(
        draw("line", { class: "tick", x1: x, x2: x, y1: top - 5, y2: top }),
        draw("text", { x, y: top - 9, "text-anchor": "middle" }, tickText(bits)),
      );
    }
    elements.push(draw("text", { x: middle, y: 13, "text-anchor": "middle" }, "bits a weight, on average"));
  }
  if (at.shelf !== null) elements.push(...shelfAxis(at));
  return elements;
}

// The line of the errors that are 0, and the gap in the axis above it.
function shelfAxis(at) {
  const { left } = FRONT;
  const gap = FRONT.height - FRONT.bottom - FRONT.shelf + 6;
  return [
    draw("line", { class: "grid", x1: left, x2: at.width - FRONT.right, y1: at.shelf, y2: at.shelf }),
    draw("text", { x: left - 8, y: at.shelf + 4, "text-anchor": "end" }, at.shelfText),
    draw("rect", { class: "gap", x: left - 2, y: gap - 2.5, width: 4, height: 5 }),
    draw("path", { class: "tick", d: `M${left - 5} ${gap}l10 -5m-10 10l10 -5` }),
  ];
}

// A staircase: between two points the error of the smaller one is what can be had.
function frontLine(points, at) {
  const steps = points.map(({ bytes, error }, index) => {
    const [x, y] = [at.x(bytes).toFixed(1), at.y(error).toFixed(1)];
    return index === 0 ? `M${x} ${y}` : `H${x}V${y}`;
  });
  return draw("path", { class: "front", d: steps.join("") });
}

// Points of the curve that lie at least so far from the last one taken and from the plans, to be pointed at.
function sparsePoints(points, plans, at) {
  const far = (a, b) => Math.abs(a.x - b.x) + Math.abs(a.y - b.y) >= 9;
  const taken = [];
  points.forEach((point, index) => {
    const place = { point, x: at.x(point.bytes), y: at.y(point.error) };
    const end = index === 0 || index + 1 === points.length;
    if (!plans.every((plan) => far(plan, place))) return;
    if (end || taken.length === 0 || far(taken[taken.length - 1], place)) taken.push(place);
  });
  return taken;
}

function numbersTip(title, rows) {
  const list = make("dl");
  for (const [name, value] of rows) {
    if (value !== NOTHING) list.append(make("dt", {}, name), make("dd", {}, value));
  }
  return [title, list];
}

const sizeRows = ({ bytes, bits }) => [
  ["size", bytesText(bytes)],
  ["bits a weight", short(bits)],
  ["of unquantized", ofUnquantized(bytes)],
];

const pointTip = (point) =>
  numbersTip(make("span", { class: "title" }, "Least error of this size"), [
    ...sizeRows(point),
    [`${errorLabel}, predicted`, short(point.error)],
  ]);

const markTip = (mark) =>
  numbersTip(make("span", { class: "name" }, make("b", {}, mark.name)), [
    ...sizeRows(mark),
    [`${errorLabel}, predicted`, short(mark.predicted)],
    [`${errorLabel}, measured`, short(mark.measured)],
    ["measured / predicted", ratioText(mark)],
  ]);

const ratioText = ({ predicted, measured }) =>
  isError(measured) && predicted > 0 ? `× ${short(measured / predicted)}` : NOTHING;

function planPlaces(marks, at) {
  return marks.flatMap((mark) =>
    ["predicted", "measured"]
      .filter((kind) => isError(mark[kind]))
      .map((kind) => ({ mark, kind, x: at.x(mark.bytes), y: at.y(mark[kind]) })),
  );
}

const planShape = (kind, x, y) =>
  draw("circle", { class: `plan ${kind}`, cx: x, cy: y, r: kind === "measured" ? 3.8 : 6.5 });

function planLinks(plans) {
  return plans.flatMap((plan, index) => {
    const before = plans[index - 1];
    if (!before || before.mark !== plan.mark) return [];
    return [draw("line", { class: "link", x1: plan.x, x2: plan.x, y1: before.y, y2: plan.y })];
  });
}

function renderFront() {
  const shown = frontShown();
  byId("front-section").hidden = shown === null;
  if (shown === null) return;
  const count = report.front.marks.length;
  const plans =
    count === 0 ? "" : `, and the ${count === 1 ? "plan that was" : `${count} plans that were`} made`;
  byId("front-remark").textContent =
    `For each size the least ${errorLabel} that the sum over the units predicts${plans}.`;
  renderFrontKeys(shown);
  renderPlans();
  const place = byId("front-chart");
  let width = 0;
  // Drawn for the width there is, so that its text has the size of all other text.
  new ResizeObserver(() => {
    const now = Math.max(320, Math.floor(place.clientWidth));
    if (now === width) return;
    width = now;
    hideTip();
    place.replaceChildren(frontChart(shown, width));
  }).observe(place);
}

function frontChart({ points, marks, bytesOfBit }, width) {
  const at = frontPlaces({ points, marks }, width);
  const plans = planPlaces(marks, at);
  const dots = sparsePoints(points, plans, at);
  const dotClass = dots.length * ROOM_OF_DOT > width ? "step quiet" : "step";
  // Discs before rings, which are drawn below them: where both are at one place, the disc is inside the ring.
  const discsFirst = ["measured", "predicted"].flatMap((kind) => plans.filter((plan) => plan.kind === kind));
  const lively = [
    ...discsFirst.map(({ mark, kind, x, y }) => ({
      element: planShape(kind, x, y),
      x,
      y,
      tip: () => markTip(mark),
      choose: () => findPlan(report.front.marks.indexOf(mark)),
    })),
    ...dots.map(({ point, x, y }) => ({
      element: draw("circle", { class: dotClass, cx: x, cy: y, r: 2.4 }),
      x,
      y,
      tip: () => pointTip(point),
      choose: () => {},
    })),
  ];
  const svg = draw(
    "svg",
    {
      width,
      height: FRONT.height,
      viewBox: `0 0 ${width} ${FRONT.height}`,
      tabindex: 0,
      role: "img",
      "aria-label":
        `${errorLabel} against size: ${points.length} points and ${marks.length} plans; ` +
        "the arrow keys go from one to the next",
    },
    ...frontAxes(at, bytesOfBit),
    ...unquantizedLine(at),
    frontLine(points, at),
    ...planLinks(plans),
    ...frontLabels(plans, points, at),
    ...[...lively].reverse().map(({ element }) => element),
  );
  makeLively(svg, lively);
  return svg;
}

const unquantizedText = () => `unquantized, ${bytesText(report.front.unquantized_bytes)}`;

function unquantizedLine(at) {
  if (report.front.unquantized_bytes === 0) return [];
  const x = at.x(report.front.unquantized_bytes);
  return [
    draw("line", { class: "identity", x1: x, x2: x, y1: FRONT.top, y2: FRONT.height - FRONT.bottom }),
    draw("text", { x: x - 7, y: FRONT.top + 17, "text-anchor": "end" }, unquantizedText()),
  ];
}

function findPlan(index) {
  const rows = [...byId("plans").tBodies[0].rows];
  for (const row of rows) row.classList.toggle("found", row === rows[index]);
  rows[index].scrollIntoView({ block: "nearest" });
}

function renderFrontKeys({ points, marks }) {
  const sample = (...shapes) => draw("svg", { class: "sample", width: 26, height: 16 }, ...shapes);
  const keys = [
    [points.length > 0, draw("path", { class: "front", d: "M1 8H25" }), "least error of a size, predicted"],
    [marks.some(({ predicted }) => isError(predicted)), planShape("predicted", 13, 8), "plan, predicted"],
    [
      marks.some(({ measured }) => isError(measured)),
      planShape("measured", 13, 8),
      "plan, measured end to end",
    ],
  ];
  byId("front-keys").replaceChildren(
    ...keys.filter(([has]) => has).map(([, shape, text]) => make("span", {}, sample(shape), text)),
  );
}

const withPale = (text, more) =>
  make("span", {}, text, make("span", { class: "delta" }, more === NOTHING ? "" : ` ${more}`));

function renderPlans() {
  const marks = report.front.marks;
  byId("plans").hidden = marks.length === 0;
  const columns = [
    ["Plan", ({ name }) => make("code", {}, name)],
    ["Size, of unquantized", ({ bytes }) => withPale(bytesText(bytes), ofUnquantized(bytes))],
    ["Bits a weight", ({ bits }) => short(bits)],
    [`${errorLabel}, predicted`, ({ predicted }) => short(predicted)],
    [`${errorLabel}, measured`, (mark) => withPale(short(mark.measured), ratioText(mark))],
  ];
  byId("plans").replaceChildren(
    make("thead", {}, make("tr", {}, ...columns.map(([label]) => make("th", { scope: "col" }, label)))),
    make(
      "tbody",
      {},
      ...marks.map((mark) => make("tr", {}, ...columns.map(([, read]) => make("td", {}, read(mark))))),
    ),
  );
}
