// Elements of the page, made in the program: the content security policy allows no
// markup with styles or scripts in it.

let count = 0;

/** Returns an id that no other element of the page has. */
export function uniqueId(name) {
  count += 1;
  return `explorer-${name}-${count}`;
}

/** Sets attributes; a boolean sets or removes one, null removes it. */
export function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value === null || value === undefined) node.removeAttribute(name);
    else node.setAttribute(name, value);
  }
}

/**
 * Returns a new element. Properties that begin with "on" are listeners, all others are
 * attributes. Children are elements, texts or null.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  const isListener = ([name]) => name.startsWith("on");
  const entries = Object.entries(properties);
  setAttributes(node, Object.fromEntries(entries.filter((entry) => !isListener(entry))));
  for (const [name, listener] of entries.filter(isListener)) node.addEventListener(name.slice(2), listener);
  node.append(...children.filter((child) => child !== null));
  return node;
}

/** Returns a button with a text. */
export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** Returns a label that stands before its field. */
export function labelled(text, field, attributes = {}) {
  field.id ||= uniqueId("field");
  return element("span", { class: "labelled", ...attributes }, element("label", { for: field.id }, text), field);
}

/** Returns a choice among [value, text] pairs. */
export function choice(options, onchange, attributes = {}) {
  const nodes = options.map(([value, text]) => element("option", { value }, text));
  return element("select", { onchange: (event) => onchange(event.target.value), ...attributes }, ...nodes);
}

/** Sets an element's text only if it differs, so that screen readers stay calm. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets a field's value, but not while a person types in it. */
export function setValue(field, value) {
  const isTyping = field.matches(":focus") && field.matches("input:not([type=range]), textarea");
  if (!isTyping && field.value !== String(value)) field.value = value;
}

/** Offers bytes as a download. */
export function download(bytes, filename, mime) {
  const address = URL.createObjectURL(new Blob([bytes], { type: mime }));
  element("a", { href: address, download: filename }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** Copies a text; returns whether the browser allowed it. */
export async function copy(text, field) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    field.select(); // pages on other hosts than 127.0.0.1 have no clipboard
    return document.execCommand("copy");
  }
}
