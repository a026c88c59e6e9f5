// Fields that are more than one input: markets picked from a long list, conditions put together from known words.
const changed = (node) => node.dispatchEvent(new Event("input", { bubbles: true }));

function show(picker) {
  const wanted = picker.querySelector("[data-picker-search]").value.trim().toLowerCase();
  let found = 0;
  for (const pick of picker.querySelectorAll(".pick")) {
    pick.hidden = !pick.textContent.toLowerCase().includes(wanted);
    if (!pick.hidden) found += 1;
  }
  picker.querySelector("[data-picker-empty]").hidden = found > 0;
}

function count(picker) {
  picker.querySelector("[data-picked]").textContent = picker.querySelectorAll(".pick input:checked").length;
}

// All and none mean what the search shows.
function mark(picker, on) {
  for (const box of picker.querySelectorAll(".pick:not([hidden]) input")) box.checked = on;
  count(picker);
  changed(picker);
}

function insert(chip) {
  const area = document.getElementById(chip.closest("[data-helper-for]").dataset.helperFor);
  const text = chip.dataset.insert;
  if ("whole" in chip.dataset) area.value = text;
  else {
    const before = area.value.slice(0, area.selectionStart);
    const gap = before && !/[\s(]$/.test(before) ? " " : "";
    area.setRangeText(`${gap}${text} `, area.selectionStart, area.selectionEnd, "end");
  }
  area.focus();
  changed(area);
}

// Fields that are of use only with certain values of others: any of those named is enough. One at fault is never hidden:
// nobody could mend it.
function showUseful(form) {
  for (const field of form.querySelectorAll("[data-when]")) {
    const wanted = field.dataset.when.split(" ").map((pair) => pair.split("="));
    const faulty = field.querySelector(".field-error").textContent.trim() !== "";
    field.hidden = !faulty && !wanted.some(([name, value]) => {
      const other = form.elements[name];
      return (other.type === "checkbox" ? String(other.checked) : other.value.toLowerCase()) === value;
    });
  }
}
const form = document.getElementById("wizard");
if (form) {
  showUseful(form);
  form.addEventListener("input", () => showUseful(form));
  document.addEventListener("htmx:afterSettle", () => showUseful(form)); // the answer may name other faults
  document.getElementById("summary")?.focus(); // what was refused is read first
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest?.("button");
  if (!button) return;
  const picker = button.closest("[data-picker]");
  if (picker && "pickerAll" in button.dataset) mark(picker, true);
  if (picker && "pickerNone" in button.dataset) mark(picker, false);
  if ("insert" in button.dataset) insert(button);
});
for (const picker of document.querySelectorAll("[data-picker]")) {
  picker.addEventListener("change", () => count(picker));
  const search = picker.querySelector("[data-picker-search]");
  search.addEventListener("input", (event) => {
    event.stopPropagation(); // a search changes nothing: the preview needn't be asked again
    show(picker);
  });
  search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
}
