/** The redacted report of a test: shown whole before it is copied. */

import { button, h, setAttribute, setHidden, uniqueId } from './dom.js'

export function createReport(actions) {
  const id = uniqueId('report')
  const text = h('textarea', { id, class: 'rllm-input rllm-report', readonly: true, rows: 10, spellcheck: 'false' })
  const element = h('div', { class: 'rllm-field rllm-field--wide', hidden: true },
    h('label', { for: id, class: 'rllm-label' }, 'Report, without names, addresses and keys'), text,
    h('div', { class: 'rllm-actions' }, button('Copy', copy, { small: true })))
  const open = button('Report', () => show(element.hidden), { small: true, 'aria-expanded': 'false' })

  function show(shown) {
    setHidden(element, !shown)
    setAttribute(open, 'aria-expanded', shown ? 'true' : 'false')
  }

  async function copy() {
    text.select()
    try {
      await navigator.clipboard.writeText(text.value)
      actions.notice('The report is copied.')
    } catch {
      // No clipboard for this page: the text is selected, and the keys do it.
      actions.notice('Press Ctrl+C to copy the selected report.')
    }
  }

  return {
    element,
    open,
    /** @param {string|null} report null: there is none yet */
    update(report) {
      setHidden(open, report === null)
      if (report === null) show(false)
      else if (text.value !== report) text.value = report
    }
  }
}
