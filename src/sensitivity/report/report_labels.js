// Names beside the plans of the curve: each where it covers nothing, with a line to its plan where that is
// not near. A name that has no room is left out; pointing at the plan and the table below tell it.

const MANY_PLANS = 20; // of more of them not all names can have room, and the search takes long
const NAME_LENGTH = 22;
const LETTER = 6.8; // width, nearly
const BOLD_LETTER = 7.4; // width, nearly
// In degrees, clockwise from the right. Where plans are close to each other all names have room only as rungs
// of one ladder, below the curve or above it.
const ALL_AROUND = [-50, -30, -70, -10, 10, 180, 150, 120, 90, 75, 60, 35, 105, -90];
const LADDER_BELOW = [90, 80, 70];
const LADDER_ABOVE = [-90, -80, -70, -60];
const BESIDE = 20; // up to here a name needs no line
const FARTHER = Array.from({ length: 32 }, (_, index) => BESIDE + 9 * (index + 1));

const shortName = (name) => (name.length <= NAME_LENGTH ? name : `${name.slice(0, NAME_LENGTH - 1)}…`);

// Points along a line, as close as no box between them can be missed.
function alongLine(from, to) {
  const count = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 4));
  return Array.from({ length: count + 1 }, (_, index) => ({
    x: from.x + ((to.x - from.x) * index) / count,
    y: from.y + ((to.y - from.y) * index) / count,
  }));
}

// The staircase, a point every few pixels however many steps it has.
function alongCurve(points, at) {
  const found = [];
  const add = (point) => {
    if (found.length === 0 || !near(point, found[found.length - 1], 3)) found.push(point);
  };
  let from = null;
  for (const { bytes, error } of points) {
    const to = { x: at.x(bytes), y: at.y(error) };
    const corner = { x: to.x, y: (from ?? to).y };
    for (const point of [...alongLine(from ?? to, corner), ...alongLine(corner, to)]) add(point);
    from = to;
  }
  return found;
}

const near = (a, b, distance) => Math.hypot(a.x - b.x, a.y - b.y) < distance;
const inside = (box, { x, y }, margin) =>
  x > box.left - margin && x < box.right + margin && y > box.top - margin && y < box.bottom + margin;
const overlap = (a, b) =>
  a.left < b.right + 4 && b.left < a.right + 4 && a.top < b.bottom + 2 && b.top < a.bottom + 2;

// Where a label stands whose nearest end is so far away from the anchor in that direction.
function labelAt(anchor, degrees, distance, width) {
  const direction = (degrees * Math.PI) / 180;
  const end = { x: anchor.x + distance * Math.cos(direction), y: anchor.y + distance * Math.sin(direction) };
  const left = Math.cos(direction) < 0 ? end.x - width : end.x;
  const box = { left, right: left + width, top: end.y - LABEL_HEIGHT / 2, bottom: end.y + LABEL_HEIGHT / 2 };
  const start = { x: anchor.x + 7 * Math.cos(direction), y: anchor.y + 7 * Math.sin(direction) };
  const beside = distance <= BESIDE;
  const stop = { x: end.x - 3 * Math.cos(direction), y: end.y - 3 * Math.sin(direction) };
  return { box, toLeft: left < end.x, distance, leader: beside ? [] : alongLine(start, stop) };
}

// The labels that were given a place, what of the chart is taken, and what may stand where.
class LabelPlaces {
  constructor(plans, curve, frame, boxes) {
    Object.assign(this, { plans, curve, frame, boxes: [...boxes], leaders: [], labels: [], length: 0 });
  }

  fits({ box, leader, distance }, anchor) {
    const { frame } = this;
    // All lines to plans at one place begin there.
    const away = leader.filter((point) => !near(point, anchor, 16));
    // Without a line a name belongs to the plan that is nearest.
    const margin = leader.length > 0 ? 7 : distance;
    return (
      box.left >= frame.left &&
      box.right <= frame.right &&
      box.top >= frame.top &&
      box.bottom <= frame.bottom &&
      !this.boxes.some((other) => overlap(box, other) || leader.some((point) => inside(other, point, 2))) &&
      !this.curve.some((point) => inside(box, point, 3)) &&
      !this.plans.some((plan) =>
        plan.mark === anchor.mark
          ? inside(box, plan, 7)
          : inside(box, plan, margin) || away.some((point) => near(point, plan, 7)),
      ) &&
      !this.leaders.some((other) => inside(box, other, 2) || away.some((point) => near(point, other, 4)))
    );
  }

  add(anchor, directions) {
    const text = shortName(anchor.mark.name);
    for (const distance of [13, BESIDE, ...FARTHER]) {
      for (const direction of directions) {
        const label = labelAt(anchor, direction, distance, BOLD_LETTER * text.length);
        if (!this.fits(label, anchor)) continue;
        this.boxes.push(label.box);
        this.leaders.push(...label.leader);
        this.labels.push({ ...label, text });
        this.length += distance;
        return;
      }
    }
  }
}

// Which label is placed first decides what room is left. The best of a few orders: most names, then least
// distance.
function bestPlaces(anchors, empty) {
  const fromRight = [...anchors].sort((a, b) => b.x - a.x);
  const fromLeft = [...fromRight].reverse();
  const everyOther = (list) => [0, 1].flatMap((rest) => list.filter((_, index) => index % 2 === rest));
  let best = null;
  const tries = [
    [fromRight, ALL_AROUND],
    [fromLeft, ALL_AROUND],
    [everyOther(fromRight), ALL_AROUND],
    [everyOther(fromLeft), ALL_AROUND],
    [fromRight, LADDER_BELOW],
    [fromRight, LADDER_ABOVE],
  ];
  for (const [order, directions] of anchors.length > MANY_PLANS ? tries.slice(0, 1) : tries) {
    const places = empty();
    for (const anchor of order) places.add(anchor, directions);
    const more = best === null ? 1 : places.labels.length - best.labels.length;
    if (more > 0 || (more === 0 && places.length < best.length)) best = places;
  }
  return best;
}

function frontLabels(plans, points, at) {
  const frame = {
    left: FRONT.left + 4,
    right: at.width - FRONT.right - 4,
    top: FRONT.top + 4,
    bottom: FRONT.height - FRONT.bottom - 4,
  };
  const curve = alongCurve(points, at);
  const taken = [];
  if (report.front.unquantized_bytes > 0) {
    const right = at.x(report.front.unquantized_bytes) + 1;
    const left = right - 8 - LETTER * unquantizedText().length;
    taken.push({ left, right, top: FRONT.top, bottom: FRONT.top + 24 });
  }
  const places = bestPlaces(upperPlaces(plans), () => new LabelPlaces(plans, curve, frame, taken));
  return places.labels.flatMap(({ box, toLeft, leader, text }) => {
    const [from, to] = [leader[0], leader[leader.length - 1]];
    return [
      ...(from ? [draw("line", { class: "leader", x1: from.x, y1: from.y, x2: to.x, y2: to.y })] : []),
      draw(
        "text",
        {
          class: "strong",
          x: toLeft ? box.right : box.left,
          y: box.bottom - 3.5,
          "text-anchor": toLeft ? "end" : "start",
        },
        text,
      ),
    ];
  });
}

// Of each plan's ring and disc the upper one: there is most room above the curve.
function upperPlaces(plans) {
  const upper = new Map();
  for (const plan of plans) {
    const other = upper.get(plan.mark);
    if (!other || plan.y < other.y) upper.set(plan.mark, plan);
  }
  return [...upper.values()];
}
