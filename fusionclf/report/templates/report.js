"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.querySelectorAll("thead th")];
  const key = (row, column) => {
    const cell = row.cells[column];
    const text = (cell.dataset.value ?? cell.firstChild?.textContent ?? "").trim();
    if (text === "" || text === "–") return null;
    const number = Number(text.replaceAll(",", ""));
    return Number.isNaN(number) ? text : number;
  };
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const first = head.classList.contains("text") ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const now = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach(each => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", now);
    const body = table.tBodies[0];
    const rows = [...body.rows].map(row => [key(row, column), row]);
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : (now === "ascending" ? 1 : -1) * order(a, b));
    body.append(...rows.map(([, row]) => row));
  }));
}
const search = document.getElementById("search");
search?.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  let shown = 0;
  for (const row of document.querySelectorAll("table.searchable tbody tr")) {
    const names = [...row.querySelectorAll(".name")].map(cell => cell.textContent.toLowerCase());
    row.hidden = !names.some(name => name.includes(wanted));
    shown += !row.hidden;
  }
  document.getElementById("found").textContent = wanted ? `${shown} rows` : "";
});
for (const choice of document.querySelectorAll("select.lists")) {
  const lists = [...document.querySelectorAll(`[data-lists="${choice.id}"]`)];
  const show = () => lists.forEach((list, number) => { list.hidden = number !== choice.selectedIndex; });
  choice.addEventListener("change", show);
  show();
}

const filter = document.getElementById("filter");
const unfold = document.getElementById("unfold");
const hasRun = (element, words) => words.every(word => element.dataset.run.toLowerCase().includes(word));
function showRuns() {
  const words = (filter?.value ?? "").trim().toLowerCase().split(/\s+/);
  const most = unfold && unfold.getAttribute("aria-pressed") !== "true" ? Number(unfold.dataset.shown) : Infinity;
  for (const element of document.querySelectorAll("tr[data-run], .line[data-run]")) element.hidden = !hasRun(element, words);
  for (const figure of document.querySelectorAll("figure.many > div")) {
    let left = most;
    for (const chart of figure.children) chart.hidden = !hasRun(chart, words) || left-- <= 0;
  }
  for (const table of document.querySelectorAll("table:has(th[data-run])")) {
    let left = most;
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.dataset.run === undefined) return;
      const hidden = !hasRun(head, words) || left-- <= 0;
      for (const row of table.rows) row.cells[column].hidden = hidden;
    });
  }
  const rows = document.querySelectorAll("table.scores tbody tr[data-run]");
  const names = new Set([...rows].filter(row => !row.hidden).map(row => row.dataset.run));
  const folded = names.size > most ? `, columns of the first ${most}` : "";
  document.getElementById("shown").textContent = `${names.size} of ${new Set([...rows].map(row => row.dataset.run)).size} runs${folded}`;
}
filter?.addEventListener("input", showRuns);
unfold?.addEventListener("click", () => {
  unfold.setAttribute("aria-pressed", String(unfold.getAttribute("aria-pressed") !== "true"));
  showRuns();
});
if (filter) showRuns();

const tip = document.getElementById("tip");
let explained = null;
let closing = 0;
function place() {
  if (!explained) return;
  const box = explained.getBoundingClientRect();
  const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.left = `${Math.max(8, Math.min(box.left, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
}
function explain(word) {
  clearTimeout(closing);
  explained = word;
  tip.hidden = !word;
  if (word) tip.textContent = document.getElementById(word.getAttribute("aria-describedby")).textContent;
  place();
}
for (const word of document.querySelectorAll("[aria-describedby^=def-]")) {
  word.addEventListener("mouseenter", () => explain(word));
  word.addEventListener("focus", () => explain(word));
  word.addEventListener("mouseleave", () => { closing = setTimeout(explain, 200, null); });
  word.addEventListener("blur", () => explain(null));
}
if (tip) {
  tip.addEventListener("mouseenter", () => clearTimeout(closing));
  tip.addEventListener("mouseleave", () => explain(null));
  document.addEventListener("keydown", event => { if (event.key === "Escape") explain(null); });
  document.addEventListener("scroll", place, { capture: true, passive: true });
}

document.getElementById("print-summary")?.addEventListener("click", () => {
  document.body.classList.add("summary-only");
  print();
});
addEventListener("afterprint", () => document.body.classList.remove("summary-only"));
