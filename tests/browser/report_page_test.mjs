// Opens reports in Chromium and uses them as a reader would.
//   node report_page_test.mjs PLAYWRIGHT_FOLDER CHROMIUM FOLDER
// FOLDER holds 3b/ (with 8 plans), plain/, resnet/, planned-plain/ (with one), hostile/ and empty/ as make_report writes
// them.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const [playwright, executablePath, folder] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(join(resolve(playwright), "index.mjs")).href);

const readReport = (name) => JSON.parse(readFileSync(join(folder, name, "report.json"), "utf8"));
const unitsBy = (report, value, descending) =>
  [...report.units]
    .sort((a, b) => (descending ? value(b) - value(a) : value(a) - value(b)))
    .map(({ name }) => name);

// A page with the report; `done` says that it asked for nothing and had no trouble.
async function open(browser, name) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 700 } });
  const page = await context.newPage();
  const url = pathToFileURL(resolve(folder, name, "report.html")).href;
  const trouble = [];
  page.on(
    "request",
    (request) => request.url() !== url && !request.url().startsWith("data:") && trouble.push(request.url()),
  );
  page.on("console", (message) => trouble.push(message.text()));
  page.on("pageerror", (error) => trouble.push(error.message));
  page.on("dialog", (dialog) => trouble.push(dialog.message()));
  await page.goto(url);
  const done = async () => {
    assert.deepEqual(trouble, [], `${name}: requests, messages and errors`);
    await context.close();
  };
  return { page, done };
}

const names = (page) => page.locator("#ranking tbody td.unit").allTextContents();
const header = (page, label) => page.locator("#ranking th button", { hasText: label });
const sortOf = (page, label) => page.locator("#ranking th", { hasText: label }).getAttribute("aria-sort");
const choose = (page, label) => page.locator("#choice label", { hasText: label }).click();
const fills = (page) =>
  page.locator("#heat-map .cell").evaluateAll((cells) => cells.map((cell) => getComputedStyle(cell).fill));

async function sortsByAClick(page, report) {
  const kl = unitsBy(report, (unit) => unit.formats.int8.in.kl, true);
  assert.deepEqual((await names(page)).slice(0, 40), kl.slice(0, 40), "at first in the order of the ranking");
  assert.equal(await sortOf(page, "Rank"), "ascending");

  await page.locator("#more").click();
  assert.equal((await names(page)).length, report.units.length, "all units are shown");

  await header(page, "SQNR").click();
  const sqnr = (unit) => unit.formats.int8.local.sqnr_db;
  assert.deepEqual(await names(page), unitsBy(report, sqnr, false));
  assert.equal(await sortOf(page, "SQNR"), "ascending");
  assert.equal(await sortOf(page, "Rank"), null);

  await page.keyboard.press("Enter"); // the focus stays on the header
  assert.deepEqual(await names(page), unitsBy(report, sqnr, true));
  assert.equal(await sortOf(page, "SQNR"), "descending");

  // Units without a number come last either way: only exact ones have a top-1.
  await header(page, "Top-1").click();
  const first = await page.locator("#ranking tbody tr").first().textContent();
  const last = await page.locator("#ranking tbody tr").last().textContent();
  assert.ok(first.endsWith("exact") && last.endsWith("fast"), `${first} / ${last}`);
  await header(page, "Top-1").click();
  assert.ok((await page.locator("#ranking tbody tr").last().textContent()).endsWith("fast"));
  await header(page, "Rank").click();
}

async function filters(page, report) {
  await page.locator("#filter").fill("DOWN_proj layers.3/");
  assert.deepEqual(await names(page), ["/model/layers.3/mlp/down_proj/MatMul"]);
  assert.equal(await page.locator("#count").textContent(), `1 of ${report.units.length} units`);
  await page.locator("#filter").fill("no such unit");
  assert.equal((await names(page)).length, 0);
  await page.locator("#filter").fill("vision");
  assert.equal((await names(page)).length, report.units.filter(({ part }) => part === "vision").length);
  await page.locator("#filter").fill("");
}

async function switchesFormatAndDirection(page, report) {
  const before = await fills(page);
  await choose(page, "int4:32");
  assert.deepEqual(
    (await names(page)).slice(0, 10),
    unitsBy(report, (unit) => unit.formats["int4:32"].in.kl, true).slice(0, 10),
  );
  assert.notDeepEqual(await fills(page), before, "the heat map is another");
  assert.match(await page.locator("#heat-section .shown").textContent(), /^int4:32, only this unit/);
  assert.equal(await page.locator("#whole tr.current td").first().textContent(), "int4:32");

  await choose(page, "all but this unit");
  assert.deepEqual(
    (await names(page)).slice(0, 10),
    unitsBy(report, (unit) => unit.formats["int4:32"].out.kl, false).slice(0, 10),
    "all but one: the smallest error first",
  );
  await choose(page, "only this unit");
  await page.locator("#choice input:checked").first().press("ArrowLeft");
  assert.match(await page.locator("#heat-section .shown").textContent(), /^int8-dynamic, /, "by keyboard");
  await page.locator("#choice label", { hasText: /^int8$/ }).click();
}

// The number of fills that differ, and the luminance of the most and the least sensitive cell.
async function drawsTheHeatMap(page, report) {
  assert.equal(await page.locator("#heat-map .cell").count(), report.units.length, "a cell for each unit");
  const panels = page.locator("#heat-map .panel");
  assert.deepEqual(await panels.locator("h3").allTextContents(), ["vision", "text_with_image"]);
  for (const [index, part] of ["vision", "text_with_image"].entries()) {
    assert.equal(
      await panels.nth(index).locator(".cell").count(),
      report.units.filter((unit) => unit.part === part).length,
    );
  }
  assert.equal(await page.locator("#heat-map .cell.unknown").count(), 0);

  // The worst unit is darker than the mildest.
  const light = (fill) =>
    fill
      .match(/\d+/g)
      .map(Number)
      .reduce((sum, channel) => sum + channel);
  const cells = await fills(page);
  const [darkest, lightest] = [Math.min(...cells.map(light)), Math.max(...cells.map(light))];
  await page
    .locator("#heat-map .cell")
    .nth(cells.findIndex((fill) => light(fill) === darkest))
    .hover();
  const tip = await page.locator("#tip").textContent();
  const worst = unitsBy(report, (unit) => unit.formats.int8.in.kl, true)[0];
  assert.ok(darkest < 120 && lightest > 600, `${darkest} ${lightest}`);
  assert.ok(tip.startsWith(worst) && tip.includes(`1 of ${report.units.length}`), tip);

  await page.mouse.move(0, 0); // what is focused may be scrolled to, and another cell come under the pointer
  await page.locator("#heat-map svg").first().focus();
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowDown");
  assert.match(await page.locator("#tip").textContent(), /^\/visual\//);
  await page.keyboard.press("Enter");
  assert.equal(
    await page.locator("#ranking tr.found").count(),
    1,
    "the chosen unit is marked in the ranking",
  );
  assert.ok(await page.locator("#ranking tr.found").isVisible());
}

async function drawsTheScatters(page, report) {
  const exact = report.units.filter((unit) => unit.formats.int8.method === "exact").length;
  assert.equal(await page.locator("#fast-chart .point").count(), exact);
  const { spearman, units } = report.correlation.int8.in.kl;
  assert.ok(
    (await page.locator("#fast-chart").textContent()).includes(
      `Spearman ${spearman.toFixed(3)} over ${units} units`,
    ),
  );
  const both = report.units.filter((unit) => unit.formats.int8.local.picture_relative_error !== null).length;
  assert.equal(await page.locator("#tokens-chart .point").count(), both);
}

// The corners of the staircase: [x, y] of each point of the curve.
const corners = (path) =>
  path.split(/[MHV ]/).reduce(
    ([found, numbers], text) => {
      if (text !== "") numbers.push(Number(text));
      return numbers.length === 2 ? [[...found, numbers], []] : [found, numbers];
    },
    [[], []],
  )[0];

const near = (a, b, distance) => assert.ok(Math.abs(a - b) <= distance, `${a} is not ${b}`);

async function drawsTheCurve(page, front, errorLabel) {
  const place = async (locator) => [
    Number(await locator.getAttribute("cx")),
    Number(await locator.getAttribute("cy")),
  ];
  const steps = corners(await page.locator("#front-chart .front").getAttribute("d"));
  assert.equal(steps.length, front.points.length, "a step for each point");
  // Logarithmic in both: shares of the way from the first point to the last that is not drawn as 0.
  const last = front.points.findLastIndex(({ error }) => error >= 1e-6 * front.points[0].error);
  for (const index of [1, Math.floor(last / 3), Math.floor(last / 2), last - 1]) {
    for (const [axis, key] of [
      ["x", "bytes"],
      ["y", "error"],
    ]) {
      const at = (i) => steps[i][axis === "x" ? 0 : 1];
      const log = (i) => Math.log(front.points[i][key]);
      near((at(index) - at(0)) / (at(last) - at(0)), (log(index) - log(0)) / (log(last) - log(0)), 0.002);
    }
  }
  assert.equal(front.points.at(-1).error, 0);
  assert.ok(steps.at(-1)[1] > steps[last][1] + 8, "the error of 0 is below all others");

  for (const mark of front.marks) {
    const index = front.points.findIndex(({ bytes }) => bytes === mark.bytes);
    const ring = page
      .locator("#front-chart .plan.predicted")
      .nth(front.marks.length - 1 - front.marks.indexOf(mark));
    const [x, y] = await place(ring);
    near(x, steps[index][0], 0.1);
    near(y, steps[index][1], 0.1);
  }
  const measured = front.marks.filter((mark) => mark.measured !== null);
  assert.equal(await page.locator("#front-chart .plan.predicted").count(), front.marks.length);
  assert.equal(await page.locator("#front-chart .plan.measured").count(), measured.length);
  assert.equal(await page.locator("#front-chart .link").count(), measured.length);
  const [, ringY] = await place(page.locator("#front-chart .plan.predicted").last());
  const [, discY] = await place(page.locator("#front-chart .plan.measured").last());
  assert.equal(ringY > discY, measured[0].measured > measured[0].predicted, "the larger error is above");
  assert.ok((await page.locator("#front-chart").textContent()).includes("unquantized, "));

  await page.locator("#front-chart .plan.measured").last().hover();
  const tip = await page.locator("#tip").textContent();
  assert.ok(tip.startsWith(measured[0].name), tip);
  assert.match(tip, new RegExp(`bits a weight\\d.*${errorLabel}, predicted.*${errorLabel}, measured.*× \\d`));
  await page.mouse.move(0, 0);
}

async function goesAlongTheCurve(page, front) {
  await page.locator("#front-chart svg").focus();
  await page.keyboard.press("ArrowRight");
  const tip = () => page.locator("#tip").textContent();
  const name = front.marks.find(({ measured }) => measured !== null).name;
  assert.ok((await tip()).startsWith(name), "the first plan is the first");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#plans tr.found td").first().textContent(), name);
  await page.keyboard.press("ArrowRight");
  const first = await tip();
  assert.match(first, /^Least error of this size/);
  await page.keyboard.press("ArrowRight");
  assert.notEqual(await tip(), first);
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#tip").isVisible(), false);
}

async function namesThePlansWithoutOverlap(page, front) {
  for (const width of [1280, 700]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForFunction(() => {
      const chart = document.getElementById("front-chart");
      return Math.abs(chart.firstChild.getBoundingClientRect().width - chart.clientWidth) < 2;
    });
    const boxes = await page
      .locator("#front-chart text")
      .evaluateAll((texts) =>
        texts.map((text) => ({ text: text.textContent, ...text.getBoundingClientRect().toJSON() })),
      );
    for (const { name } of front.marks)
      assert.ok(
        boxes.some(({ text }) => text === name),
        `${name} at ${width}`,
      );
    for (const a of boxes) {
      for (const b of boxes) {
        const apart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
        assert.ok(a === b || apart, `${a.text} is over ${b.text} at a width of ${width}`);
      }
    }
    assert.equal(
      await page
        .locator("#plans")
        .evaluate((table) => table.parentNode.scrollWidth > table.parentNode.clientWidth),
      false,
    );
  }
  await page.setViewportSize({ width: 1100, height: 700 });
}

async function showsThePlans(page, front, errorLabel) {
  await drawsTheCurve(page, front, errorLabel);
  await goesAlongTheCurve(page, front);
  await namesThePlansWithoutOverlap(page, front);
  const rows = await page.locator("#plans tbody tr td:first-child").allTextContents();
  assert.deepEqual(
    rows,
    front.marks.map(({ name }) => name),
  );
  assert.ok((await page.locator("#plans thead").textContent()).includes(`${errorLabel}, measured`));
}

// The commands, and in which folder they are right.
async function saysWhatToDoNext(page, report, name) {
  const commands = await page.locator("#next .command").allTextContents();
  assert.deepEqual(commands, [
    `cd ${resolve(folder, name)}`,
    ...report.next.map(({ command }) => command),
  ]);
  assert.ok(report.next.length > 0);
  await page.locator("#next .command").nth(1).click();
  assert.equal(await page.evaluate(() => getSelection().toString()), commands[1], "a click selects the command");
  const verdicts = await page.locator("#whole tbody .verdict").allTextContents();
  assert.deepEqual(verdicts, Object.values(report.verdict));
}

// Two maps on one scale: the same number has the same colour in both.
async function showsMapsSideBySide(page, report) {
  const label = "int4:32, only this unit";
  await page.locator("#beside").selectOption(label);
  const maps = page.locator("#heat-map .view");
  assert.deepEqual(await page.locator(".view-name").allTextContents(), ["int8, only this unit", label]);
  const boxes = await maps.evaluateAll((list) => list.map((map) => map.getBoundingClientRect().toJSON()));
  assert.equal(boxes[0].top, boxes[1].top, "next to each other");
  assert.ok(boxes[1].left >= boxes[0].right);
  assert.equal(await page.locator("#heat-map .cell").count(), 2 * report.units.length);
  // Cells stand by part, and in a part as the report has them, units that are alone behind the others: by name.
  const colours = await maps.nth(1).locator(".cell").evaluateAll((cells) =>
    cells.map((cell) => getComputedStyle(cell).fill));
  await choose(page, "int4:32");
  await page.locator("#beside").selectOption("int8, only this unit");
  const swapped = await maps.nth(0).locator(".cell").evaluateAll((cells) =>
    cells.map((cell) => getComputedStyle(cell).fill));
  assert.deepEqual(swapped, colours, "the scale is of both maps, whichever is first");
  await maps.nth(1).locator(".cell").nth(3).hover();
  const kl = (unit) => unit.formats.int8.in.kl;
  const rank = Number(/(\d+) of 416/.exec(await page.locator("#tip").textContent())[1]);
  const name = (await page.locator("#tip .name").textContent()).trim();
  assert.equal(unitsBy(report, kl, true)[rank - 1], name, "the rank is that of the map beside");
  await page.mouse.move(0, 0);
  await page.locator("#beside").selectOption("int4:32, all but this unit");
  assert.match(await page.locator("#heat-legend").textContent(), /all but this unit: the smaller/);
  await page.locator("#beside").selectOption("");
  assert.equal(await page.locator("#heat-map .cell").count(), report.units.length);
  await choose(page, /^int8$/);
}

// Nothing is wider than a phone; what is, scrolls within itself.
async function fitsOnAPhone(page) {
  await page.setViewportSize({ width: 390, height: 800 });
  await page.waitForFunction(() => document.documentElement.scrollWidth <= 390);
  const scrolls = (selector) =>
    page.locator(selector).evaluate((table) => {
      const box = table.closest(".scroll");
      return box.scrollWidth > box.clientWidth + 40 && getComputedStyle(box).overflowX === "auto";
    });
  assert.ok(await scrolls("#ranking"), "the ranking scrolls within itself");
  const cut = await page
    .locator("h2, #choice label, #ranking .name, .command, .verdict, dt, dd")
    .evaluateAll((list) => list.filter((e) => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0).length);
  assert.equal(cut, 0, "labels are whole");
  await page.setViewportSize({ width: 1100, height: 700 });
}

async function keepsTheStagesOfAResNet(browser) {
  const { page, done } = await open(browser, "resnet");
  const labels = (await page.locator("#heat-map svg text").allTextContents()).filter((text) => /block/.test(text));
  assert.deepEqual(
    labels,
    [1, 2, 3, 4].flatMap((stage) => [0, 1].map((block) => `stage${stage}/block.${block}`)),
  );
  await page.locator("#beside").selectOption("int8, all but this unit");
  assert.equal(await page.locator("#heat-map .view").count(), 2);
  const cut = await page.locator("#heat-map svg").evaluateAll((maps) =>
    maps.flatMap((svg) => {
      const frame = svg.getBoundingClientRect();
      const inside = ({ left, right, top }) =>
        left >= frame.left - 1 && right <= frame.right + 1 && top >= frame.top - 1;
      return [...svg.querySelectorAll("text")]
        .filter((text) => !inside(text.getBoundingClientRect()) || text.textContent.includes("…"))
        .map((text) => text.textContent);
    }),
  );
  assert.deepEqual(cut, [], "labels are whole");
  await fitsOnAPhone(page);
  await done();
}

async function showsALargeReport(browser) {
  const report = readReport("3b");
  const { page, done } = await open(browser, "3b");
  assert.equal(await page.locator("h1").textContent(), report.model);
  assert.equal(await page.locator("#whole tbody tr").count(), 3);
  await page.locator(".provenance summary").click();
  const provenance = await page.locator("#provenance").textContent();
  for (const text of [report.model_sha256, report.data_sha256, report.settings.onnxruntime])
    assert.ok(provenance.includes(text), text);
  await sortsByAClick(page, report);
  await filters(page, report);
  await drawsTheScatters(page, report);
  await switchesFormatAndDirection(page, report);
  await drawsTheHeatMap(page, report);
  await saysWhatToDoNext(page, report, "3b");
  await showsMapsSideBySide(page, report);
  await fitsOnAPhone(page);
  await showsThePlans(page, report.front, "KL");
  await done();
}

async function leavesOutWhatIsNotThere(browser) {
  const { page, done } = await open(browser, "plain");
  assert.equal(
    await page.locator("#choice").textContent(),
    "",
    "one format, one direction: nothing to choose",
  );
  assert.equal(await header(page, "KL").count(), 0);
  assert.equal(await page.locator("#tokens-section").isVisible(), false);
  const report = readReport("plain");
  assert.deepEqual(
    await names(page),
    unitsBy(report, (unit) => unit.formats.int8.in.mse, true),
  );
  assert.equal(await page.locator("#heat-map .cell").count(), report.units.length);
  assert.equal(await page.locator("#front-section").isVisible(), false);
  await saysWhatToDoNext(page, report, "plain");
  assert.doesNotMatch(await page.locator("body").innerText(), /\bKL\b|kl=|Kullback|token|top-1/i);
  await done();

  const planned = await open(browser, "planned-plain");
  await showsThePlans(planned.page, readReport("planned-plain").front, "MSE");
  await planned.done();

  const empty = await open(browser, "empty");
  assert.ok(await empty.page.locator("#empty").isVisible());
  assert.equal(await empty.page.locator("#ranking-section").isVisible(), false);
  await empty.done();
}

async function isNotBrokenByNames(browser) {
  const report = readReport("hostile");
  const { page, done } = await open(browser, "hostile");
  assert.equal(await page.title(), `${report.model} – quantization sensitivity`);
  assert.equal(await page.locator("h1").textContent(), report.model);
  assert.deepEqual((await names(page)).sort(), report.units.map(({ name }) => name).sort());
  assert.equal(await page.locator("#plans tbody td").first().textContent(), report.front.marks[0].name);
  assert.equal(
    await page.locator("img, b b, body > script:not([id])").count(),
    1,
    "the page's own script only",
  );
  await done();
}

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic"],
});
try {
  await showsALargeReport(browser);
  await leavesOutWhatIsNotThere(browser);
  await keepsTheStagesOfAResNet(browser);
  await isNotBrokenByNames(browser);
} finally {
  await browser.close();
}
console.log("report.html: all is as it must be");
