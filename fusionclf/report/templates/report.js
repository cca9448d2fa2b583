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
