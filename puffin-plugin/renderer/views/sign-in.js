/** A password, a passphrase, or what the server asks: its words as plain text, one field for each prompt. */

import { visible } from '../state/format.js'
import { button, h, uniqueId } from './dom.js'
import { hopText } from './countdown.js'

const ASKS = { password: 'asks for the password.', passphrase: 'needs a key, whose passphrase is asked for.', 'keyboard-interactive': 'asks this before it lets you in.' }

/** @returns {{element: HTMLElement, focus: () => void, update: (now: number) => void, cancel: () => void}} */
export function createSignIn(question, actions, countdown) {
  const inputs = question.prompts.map(prompt => {
    const id = uniqueId('answer')
    return { id, label: visible(prompt.text).trim() || 'Answer', input: h('input', { id, type: prompt.echo ? 'text' : 'password', class: 'rllm-input', autocomplete: 'off', spellcheck: 'false' }) }
  })
  const remembered = h('input', { type: 'checkbox', id: uniqueId('remember'), class: 'rllm-check' })
  const mayRemember = question.canRemember && question.kind !== 'keyboard-interactive'
  const send = h('button', { type: 'submit', class: 'btn primary rllm-button' }, 'Continue')
  const cancel = () => actions.cancelQuestion(question)

  const element = h('form', {
    class: 'rllm-question', autocomplete: 'off', 'aria-label': `Sign in to ${visible(question.host)}`,
    on: {
      submit: event => {
        event.preventDefault()
        const answers = inputs.map(({ input }) => input.value)
        for (const { input } of inputs) input.value = ''
        actions.answerPrompt(question, answers, mayRemember && remembered.checked)
      }
    }
  },
  h('p', {}, h('strong', {}, visible(question.host)), ` ${ASKS[question.kind] ?? 'asks:'}`, hopText(question), question.attempt > 1 ? ` Attempt ${question.attempt}.` : ''),
  question.name ? h('p', { class: 'rllm-foreign' }, visible(question.name)) : null,
  question.instruction ? h('p', { class: 'rllm-foreign' }, visible(question.instruction)) : null,
  inputs.map(({ id, label, input }) => h('div', { class: 'rllm-field rllm-field--wide' }, h('label', { for: id, class: 'rllm-label' }, label), input)),
  mayRemember ? h('div', { class: 'rllm-field rllm-field--check' }, remembered, h('label', { for: remembered.id, class: 'rllm-label' }, 'Remember it on this computer')) : null,
  h('div', { class: 'rllm-actions' }, send, button('Cancel', cancel), countdown.element))

  return { element, focus: () => (inputs[0]?.input ?? send).focus(), update: countdown.update, cancel }
}
