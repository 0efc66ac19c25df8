/**
 * What must be answered before anything goes on, over whatever view Puffin shows: approvals, and
 * questions that belong to no test on show. Focus stays inside, and goes back where it was.
 */

import { rowOf } from '../state/test-acceptors.js'
import { h, setHidden, setText, uniqueId } from './dom.js'
import { createApproval } from './approval.js'
import { createQuestion } from './question.js'

/** How long keys are dropped after an overlay opened under somebody's typing. */
const DEAF_MS = 500

/**
 * @param {object} actions
 * @param {() => boolean} panelShown whether a question in a test's row can be seen
 */
export function createOverlay(actions, panelShown) {
  const titleId = uniqueId('overlay-title')
  const bodyId = uniqueId('overlay-body')
  const title = h('h2', { id: titleId, class: 'rllm-overlay-title' })
  const body = h('div', { id: bodyId, class: 'rllm-overlay-body' })
  const more = h('p', { class: 'rllm-hint', role: 'status' })
  const dialog = h('div', { class: 'rllm-dialog', role: 'alertdialog', 'aria-modal': 'true', 'aria-labelledby': titleId, 'aria-describedby': bodyId, on: { keydown: onKey } }, title, body, more)
  // A click beside it leaves the focus in it.
  const keepFocus = event => event.target === element && event.preventDefault()
  const element = h('div', { class: 'rllm-overlay', hidden: true, on: { mousedown: keepFocus } }, dialog)
  let shown = null
  let view = null
  let before = null
  let deafUntil = 0

  function onKey(event) {
    // Somebody was typing when this opened, and means none of it.
    if (performance.now() < deafUntil) {
      event.preventDefault()
      event.stopPropagation()
      return
    }
    // Puffin has shortcuts of its own; none of them is meant while this is open.
    event.stopPropagation()
    if (event.key === 'Escape') {
      event.preventDefault()
      view?.cancel()
    }
    if (event.key !== 'Tab') return
    const stops = [...dialog.querySelectorAll('button, input, textarea, select, [tabindex="0"]')].filter(stop => !stop.disabled && stop.offsetParent !== null)
    const edge = event.shiftKey ? stops[0] : stops.at(-1)
    if (document.activeElement === edge || !dialog.contains(document.activeElement)) {
      event.preventDefault()
      ;(event.shiftKey ? stops.at(-1) : stops[0])?.focus()
    }
  }

  function waitingOf(state) {
    const questions = state.questions.filter(question => {
      const row = rowOf(state, question)
      return !(row && panelShown() && state.selected === row.key)
    })
    return [
      ...state.approvals.map(approval => ({ id: `approval ${approval.callId}`, title: 'The model asks to do this', make: () => createApproval(approval, actions) })),
      ...questions.map(question => ({
        id: `question ${question.questionId}`,
        title: question.kind === 'host-key' ? 'Is this the right machine?' : 'Sign in',
        make: () => createQuestion(question, actions)
      }))
    ]
  }

  return {
    element,
    update(state, now) {
      const waiting = waitingOf(state)
      const first = waiting[0]
      setText(more, waiting.length > 1 ? `${waiting.length - 1} more after this one.` : '')
      setHidden(more, waiting.length < 2)
      if (first?.id !== shown) {
        if (shown === null) before = document.activeElement
        if (shown === null && isEditable(before)) deafUntil = performance.now() + DEAF_MS
        shown = first?.id ?? null
        view = first?.make() ?? null
        setHidden(element, !view)
        setText(title, first?.title ?? '')
        body.replaceChildren(...(view ? [view.element] : []))
        if (view) view.focus()
        else if (before?.isConnected) before.focus()
      }
      view?.update(now)
    },
    isOpen: () => shown !== null
  }
}

function isEditable(element) {
  return Boolean(element?.matches?.('input, textarea, [contenteditable]:not([contenteditable="false"])'))
}
