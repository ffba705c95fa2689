// The ranking: sorted by any column, filtered by words.

const ROWS_AT_FIRST = 40;
const present = (test) => report.units.some((unit) => Object.values(unit.formats).some(test));
const hasKl = report.has_logits && directions.length > 0;

const COLUMNS = [
  { key: "rank", label: "Rank", value: (unit) => rankOf.get(unit), cell: rankCell },
  { key: "unit", label: "Unit", text: true, value: (unit) => unit.name, cell: nameCell },
  { key: "op", label: "Op", text: true, value: (unit) => unit.op, cell: (unit) => textCell(unit.op) },
  {
    key: "shape",
    label: "Shape",
    value: (unit) => unit.shape[0] * unit.shape[1],
    worst: "large",
    cell: (unit) => cell(`${unit.shape[0]} × ${unit.shape[1]}`),
  },
  {
    key: "parameters",
    label: "Params",
    value: (unit) => unit.parameters,
    worst: "large",
    cell: (unit) => cell(amount(unit.parameters)),
  },
  {
    key: "kl",
    label: "KL ± std. error",
    value: (unit) => (errorOf(unit) || {}).kl,
    worst: "large",
    cell: klCell,
    shown: hasKl,
  },
  {
    key: "mse",
    label: "MSE",
    value: (unit) => (errorOf(unit) || {}).mse,
    worst: "large",
    cell: (unit) => barCell((errorOf(unit) || {}).mse, !hasKl && "mse"),
    shown: directions.length > 0,
  },
  {
    key: "score",
    label: "Score",
    value: (unit) => (resultOf(unit) || {}).score,
    worst: "large",
    cell: (unit) => barCell((resultOf(unit) || {}).score, byScore && "score"),
    shown: present((result) => isNumber(result.score)),
  },
  {
    key: "top1",
    label: "Top-1",
    value: (unit) => (errorOf(unit) || {}).top1,
    worst: "small",
    cell: (unit) => cell(percent((errorOf(unit) || {}).top1, 2)),
    shown: hasKl,
  },
  {
    key: "sqnr",
    label: "SQNR, dB",
    value: sqnrValue,
    worst: "small",
    cell: (unit) => cell(decibels(localOf(unit))),
  },
  {
    key: "relative",
    label: "Rel. error",
    value: (unit) => (localOf(unit) || {}).relative_error,
    worst: "large",
    cell: (unit) => cell(short((localOf(unit) || {}).relative_error)),
  },
  {
    key: "method",
    label: "Method",
    text: true,
    value: (unit) => (resultOf(unit) || {}).method,
    cell: methodCell,
  },
].filter(({ shown }) => shown !== false);

let rankOf = new Map();
let largest = {};

function cell(content, attributes = {}) {
  return make("td", attributes, content);
}

function textCell(text) {
  return cell(text, { class: "text" });
}

function rankCell(unit) {
  return cell(rankOf.has(unit) ? String(rankOf.get(unit)) : NOTHING, { class: "rank" });
}

function nameCell(unit) {
  const mark = partMark(parts.indexOf(unit.part));
  mark.title = unit.part;
  return make("td", { class: "unit" }, mark, unitName(unit));
}

function sqnrValue(unit) {
  const local = localOf(unit);
  if (!local) return null;
  return local.sqnr_db === null && local.relative_error === 0 ? Infinity : local.sqnr_db;
}

function barCell(value, key, content = short(value)) {
  if (!key || smallestFirst() || !isNumber(value) || !(largest[key] > 0)) return cell(content);
  const width = `${Math.max(0, (100 * value) / largest[key]).toFixed(1)}%`;
  return make("td", { class: "bar" }, make("i", { style: { width } }), make("span", {}, content));
}

function klCell(unit) {
  const error = errorOf(unit);
  return barCell(error ? error.kl : null, "kl", klText(error));
}

function methodCell(unit) {
  const { method } = resultOf(unit) || {};
  return cell(method || NOTHING, { class: method === "exact" ? "text method exact" : "text method" });
}

// Ascending when the worst are then first, for words too; units without a value come last either way.
function compare(column, descending) {
  const sign = descending ? -1 : 1;
  const missing = (value) => value === null || value === undefined || Number.isNaN(value);
  return (a, b) => {
    const [left, right] = [column.value(a), column.value(b)];
    if (missing(left) || missing(right)) return missing(left) - missing(right);
    if (column.text) return sign * left.localeCompare(right, "en", { numeric: true });
    return left === right ? 0 : sign * (left < right ? -1 : 1);
  };
}

function sortBy(column) {
  const again = state.sort === column.key;
  state.descending = again ? !state.descending : column.worst === "large";
  state.sort = column.key;
  renderTable();
}

function matches(unit, words) {
  const { method } = resultOf(unit) || {};
  const text = [unit.name, unit.kind, unit.layer, unit.part, unit.op, method].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}

function shownUnits() {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const column = COLUMNS.find(({ key }) => key === state.sort);
  // Equal ones in the order of the rank.
  const units = report.units.filter((unit) => matches(unit, words)).sort(compare(COLUMNS[0], false));
  return units.sort(compare(column, state.descending));
}

function renderHead() {
  const row = make("tr");
  for (const column of COLUMNS) {
    const sorted = column.key === state.sort && (state.descending ? "descending" : "ascending");
    const button = make("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      sortBy(column);
      byId("ranking").querySelector(`th[data-key="${column.key}"] button`).focus();
    });
    row.append(
      make(
        "th",
        { scope: "col", "data-key": column.key, "aria-sort": sorted, class: column.text ? "text" : null },
        button,
      ),
    );
  }
  byId("ranking").tHead.replaceChildren(row);
}

function renderTable() {
  const units = shownUnits();
  const rows = state.all ? units : units.slice(0, ROWS_AT_FIRST);
  const values = (read) => Math.max(0, ...report.units.map(read).filter(isNumber));
  largest = {
    kl: values((unit) => (errorOf(unit) || {}).kl),
    mse: values((unit) => (errorOf(unit) || {}).mse),
    score: values((unit) => (resultOf(unit) || {}).score),
  };
  renderHead();
  byId("ranking").tBodies[0].replaceChildren(
    ...rows.map((unit) =>
      make(
        "tr",
        { class: unit === state.found ? "found" : null },
        ...COLUMNS.map((column) => column.cell(unit)),
      ),
    ),
  );
  byId("count").textContent =
    units.length === report.units.length
      ? `${whole(units.length)} units`
      : `${whole(units.length)} of ${whole(report.units.length)} units`;
  byId("more").hidden = rows.length === units.length;
  byId("more").textContent = `Show all ${whole(units.length)}`;
}

// How much of all error a few units make.
function concentration() {
  if (byScore || state.direction === "out" || rankOf.size < 20) return [];
  const ranked = [...rankOf.keys()];
  const sum = (units, read) => units.reduce((total, unit) => total + read(unit), 0);
  const total = sum(ranked, rankValue);
  if (!(total > 0)) return [];
  const share = sum(ranked.slice(0, 10), rankValue) / total;
  const parameters =
    sum(ranked.slice(0, 10), (unit) => unit.parameters) / sum(report.units, (unit) => unit.parameters);
  const label = report.criterion === "kl" ? "KL" : "MSE";
  return [
    "The 10 most sensitive units make up ",
    make("b", {}, percent(share)),
    ` of the sum of all ${label}; they hold `,
    make("b", {}, percent(parameters)),
    " of the parameters.",
  ];
}

// From a chart to the unit's row.
function findUnit(unit) {
  state.found = unit;
  if (!shownUnits().includes(unit)) state.filter = byId("filter").value = "";
  if (shownUnits().indexOf(unit) >= ROWS_AT_FIRST) state.all = true;
  hideTip();
  renderTable();
  byId("ranking").querySelector("tr.found").scrollIntoView({ block: "center" });
}

function renderRanking() {
  byId("ranking-section").hidden = report.units.length === 0;
  byId("concentration").replaceChildren(...concentration());
  renderTable();
}
