/**
 * What must be answered before anything goes on, over whatever view Puffin shows: approvals, and
 * questions that have no place in a panel on show. Focus stays inside, and goes back where it was.
 */

import { placeOf } from '../state/question-place.js'
import { h, setHidden, setText, uniqueId } from './dom.js'
import { createApproval } from './approval.js'
import { isEditable } from './questions.js'

/** How long keys are dropped after an overlay opened under somebody's typing. */
const DEAF_MS = 500

/**
 * @param {object} actions
 * @param {ReturnType<import('./questions.js').createQuestions>} questions
 */
export function createOverlay(actions, questions) {
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

  function waitingOf(state, panelShown) {
    const homeless = state.questions.filter(question => !panelShown || placeOf(state, question).kind === 'overlay')
    return [
      ...state.approvals.map(approval => ({ id: `approval ${approval.callId}`, title: 'The model asks to do this', make: () => createApproval(approval, actions) })),
      ...homeless.map(question => ({
        id: `question ${question.questionId}`,
        title: question.kind === 'host-key' ? 'Is this the right machine?' : 'Sign in',
        make: () => questions.viewOf(question)
      }))
    ]
  }

  return {
    element,
    /** @param {boolean} panelShown whether a question in the panel can be seen */
    update(state, now, panelShown) {
      const waiting = waitingOf(state, panelShown)
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
