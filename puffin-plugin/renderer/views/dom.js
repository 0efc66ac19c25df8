/** Elements, built without markup: text of others is only ever text. */

/**
 * @param {string} tag
 * @param {object} [attributes] `on` holds listeners; true sets a bare attribute; null, undefined and false none
 * @param {...(Node|string|null|Array)} children strings become text
 * @returns {HTMLElement}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'on') for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener)
    else setAttribute(element, name, value)
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false))
  return element
}

/** Sets an attribute if it has another value; null, undefined and false remove it. */
export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name)
    return
  }
  const text = value === true ? '' : String(value)
  if (element.getAttribute(name) !== text) element.setAttribute(name, text)
}

/** Sets an element's text if it is another: what does not change is not drawn again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden
}

let ids = 0
/** An id that nothing else in the page has. */
export function uniqueId(name) {
  return `rllm-${name}-${++ids}`
}

export function button(label, onClick, { kind = 'secondary', small = false, ...attributes } = {}) {
  return h('button', { type: 'button', class: `btn ${kind}${small ? ' small' : ''} rllm-button`, on: { click: onClick }, ...attributes }, label)
}

/**
 * Keeps a list's children in step with the state without building those anew that are there.
 * @param {HTMLElement} parent holds nothing else
 * @param {Array} items
 * @param {(item: object, index: number) => string} keyOf
 * @param {(item: object) => {element: HTMLElement, update: (item: object, index: number) => void}} create
 */
export function createKeyedList(parent, keyOf, create) {
  let views = new Map()
  return {
    update(items) {
      const next = new Map()
      let place = parent.firstChild
      items.forEach((item, index) => {
        const key = keyOf(item, index)
        const view = views.get(key) ?? create(item)
        next.set(key, view)
        if (view.element === place) place = place.nextSibling
        else parent.insertBefore(view.element, place)
        // In its place first: what is not in the page cannot have the focus.
        view.update(item, index)
      })
      for (const [key, view] of views) if (!next.has(key)) view.element.remove()
      views = next
    },
    get: key => views.get(key)
  }
}
