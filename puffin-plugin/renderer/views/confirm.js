/** A button that asks once more before it does what can't be undone: the harmless answer has the focus. */

import { button, h, setHidden } from './dom.js'

/**
 * @param {{label: string, question: string, yes: string, no: string, onYes: () => void}} words
 * @returns {{elements: HTMLElement[], show: (shown: boolean) => void, close: () => void}}
 */
export function createConfirm({ label, question, yes, no, onYes }) {
  let shown = true
  let asking = false
  const ask = button(label, () => open(true), { small: true })
  const doIt = button(yes, () => {
    open(false)
    onYes()
  }, { small: true })
  const keep = button(no, () => open(false), { small: true })
  const group = h('div', { class: 'rllm-actions', role: 'group', 'aria-label': question, hidden: true }, keep, doIt)

  function draw() {
    setHidden(group, !asking || !shown)
    setHidden(ask, asking || !shown)
  }

  function open(on) {
    asking = on
    draw()
    ;(on ? keep : ask).focus()
  }

  return {
    elements: [ask, group],
    show(on) {
      shown = on
      draw()
    },
    /** As if it had not been asked; the focus stays where it is. */
    close() {
      asking = false
      draw()
    }
  }
}
