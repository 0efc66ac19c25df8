/** An unknown host key: the fingerprint, and a place to compare it with one from the administrator. */

import { visible } from '../state/format.js'
import { sameFingerprint } from '../state/fingerprint.js'
import { button, h, setText, uniqueId } from './dom.js'
import { hopText } from './countdown.js'

/** @returns {{element: HTMLElement, focus: () => void, update: (now: number) => void}} */
export function createHostKey(question, actions, countdown) {
  const id = uniqueId('fingerprint')
  const verdict = h('p', { class: 'rllm-verdict', role: 'status' })
  const reject = button('Reject', () => actions.answerHostKey(question, 'reject'))
  const once = button('Accept once', () => actions.answerHostKey(question, 'accept-once'))
  const remember = button('Accept and remember', () => actions.answerHostKey(question, 'accept'))
  const compare = h('input', {
    id, type: 'text', class: 'rllm-input', spellcheck: 'false', autocomplete: 'off', placeholder: 'SHA256:…',
    on: {
      input: () => {
        const typed = compare.value.trim()
        const same = sameFingerprint(typed, question.fingerprint)
        setText(verdict, typed === '' ? '' : same ? '✓ It is the same fingerprint.' : '✕ It is another fingerprint. Do not accept this key.')
        once.disabled = remember.disabled = typed !== '' && !same
      }
    }
  })
  const element = h('div', { class: 'rllm-question', role: 'group', 'aria-label': `Host key of ${visible(question.host)}` },
    h('p', {}, firstSentence(question), h('strong', {}, visible(`${question.host}:${question.port}`)), '.', hopText(question)),
    question.reason === 'new-type' ? h('p', {}, 'This machine is known by a key of another type.') : null,
    question.knownElsewhere ? h('p', {}, 'This key is already known as ', h('strong', {}, visible(question.knownElsewhere)), '.') : null,
    h('p', {}, `Its ${visible(question.keyType)} fingerprint is`, h('br'), h('code', { class: 'rllm-fingerprint' }, visible(question.fingerprint))),
    h('p', {}, 'Compare it with one you got from the administrator.'),
    h('div', { class: 'rllm-field rllm-field--wide' }, h('label', { for: id, class: 'rllm-label' }, 'Fingerprint from the administrator (optional)'), compare, verdict),
    h('div', { class: 'rllm-actions' }, reject, once, remember, countdown.element))
  return { element, focus: () => reject.focus(), update: countdown.update, cancel: () => actions.cancelQuestion(question) }
}

function firstSentence({ reason }) {
  return reason === 'new-type' ? 'A new kind of key from ' : 'First contact with '
}
