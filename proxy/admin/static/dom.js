/** Elements as plain descriptions, and the fewest changes that make the page what they describe: focus, selection and
 * scroll position of what stays are kept. Text is only ever text. */

const SVG = document.getElementById("logo").namespaceURI;

/** Describe an element. `props`: attributes; `on…` handlers; `key` for what keeps its identity among its siblings;
 * `style` as an object of CSS properties, since the policy of this page forbids style attributes. */
export function h(tag, props, ...children) {
  return { tag, props: props || {}, children: children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false) };
}

/** Make the children of `parent` what `described` says. */
export function show(parent, ...described) {
  const focused = document.activeElement;
  patchChildren(parent, described.flat(Infinity).filter(Boolean));
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

function patchChildren(parent, described) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (child.described?.props.key !== undefined) keyed.set(child.described.props.key, child);
  let cursor = parent.firstChild;
  for (const each of described) {
    let node = typeof each === "object" && each.props.key !== undefined ? keyed.get(each.props.key) : cursor;
    if (!node || !fits(node, each)) {
      node = create(each, parent);
      parent.insertBefore(node, cursor);
    } else if (node === cursor) {
      cursor = cursor.nextSibling;
    } else {
      parent.insertBefore(node, cursor);
    }
    update(node, each);
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

function fits(node, described) {
  if (typeof described !== "object") return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE && node.localName === described.tag
    && node.described?.props.key === described.props.key;
}

function create(described, parent) {
  if (typeof described !== "object") return document.createTextNode("");
  const inSvg = described.tag === "svg" || (parent.namespaceURI === SVG && parent.localName !== "foreignObject");
  return inSvg ? document.createElementNS(SVG, described.tag) : document.createElement(described.tag);
}

function update(node, described) {
  if (typeof described !== "object") {
    if (node.data !== String(described)) node.data = String(described);
    return;
  }
  const before = node.described?.props || {};
  for (const name of Object.keys(before)) if (!(name in described.props)) set(node, name, undefined);
  for (const [name, value] of Object.entries(described.props)) {
    if (name === "style" || before[name] !== value) set(node, name, value);
  }
  node.described = described;
  patchChildren(node, described.children);
}

function set(node, name, value) {
  if (name === "key") return;
  if (name === "style") {
    for (const [property, text] of Object.entries(value || {})) node.style.setProperty(property, text);
  } else if (name.startsWith("on")) {
    node[name] = value || null;
  } else if (value === undefined || value === null || value === false) {
    node.removeAttribute(name);
  } else {
    node.setAttribute(name, value === true ? "" : String(value));
  }
}
