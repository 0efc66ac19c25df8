/** Questions as they are shown: each has one view, which stands in one place and keeps there what was typed. */

import { createCountdown } from './countdown.js'
import { h } from './dom.js'
import { createHostKey } from './host-key.js'
import { createSignIn } from './sign-in.js'

export function createQuestions(actions) {
  const views = new Map()

  function viewOf(question) {
    const { questionId, kind } = question
    if (!views.has(questionId)) views.set(questionId, (kind === 'host-key' ? createHostKey : createSignIn)(question, actions, createCountdown(question)))
    return views.get(questionId)
  }

  return {
    viewOf,
    /** Forgets those that are not open any more. @param {object[]} open */
    prune(open) {
      const ids = new Set(open.map(({ questionId }) => questionId))
      for (const id of views.keys()) if (!ids.has(id)) views.delete(id)
    },
    /** A place in the panel where a question can stand. */
    createPlace() {
      const element = h('div', { class: 'rllm-question-place' })
      let asked = null
      return {
        element,
        /** @param {object|null} question @param {number} now @param {() => boolean} mayFocus asked when it appears */
        update(question, now, mayFocus = () => true) {
          const view = question ? viewOf(question) : null
          const isNew = view !== null && question.questionId !== asked
          asked = question?.questionId ?? null
          if (!view) {
            if (element.firstChild) element.replaceChildren()
            return
          }
          if (view.element.parentNode !== element) element.replaceChildren(view.element)
          if (isNew && mayFocus()) view.focus()
          view.update(now)
        }
      }
    }
  }
}

/** @returns {boolean} whether somebody is typing there */
export function isEditable(element) {
  return Boolean(element?.matches?.('input, textarea, [contenteditable]:not([contenteditable="false"])'))
}
