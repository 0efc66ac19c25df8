/** A tool call before it runs: what will happen in plain sight, and Deny at hand. */

import { visible } from '../state/format.js'
import { button, h } from './dom.js'

/** @returns {{element: HTMLElement, focus: () => void, update: () => void, cancel: () => void}} */
export function createApproval(approval, actions) {
  const { callId, name, where, command, diff, input, afterUntrustedRead, canAlways, pattern } = approval
  const decide = decision => () => actions.approve(callId, decision)
  const deny = button('Deny', decide('deny'))
  const view = command !== undefined && command !== null ? plain(command) : diff ? diffOf(diff) : plain(JSON.stringify(input ?? {}, null, 2))
  const element = h('div', { class: 'rllm-approval' },
    h('p', {}, h('strong', {}, visible(name)), where ? h('span', {}, ' in ', h('code', {}, visible(where))) : null),
    approval.summary ? h('p', {}, visible(approval.summary)) : null,
    view,
    afterUntrustedRead ? h('p', { class: 'rllm-note rllm-note--warning' }, 'The model has read something before, and may be following what stood there.') : null,
    h('div', { class: 'rllm-actions' },
      deny,
      button('Allow once', decide('allow')),
      canAlways ? button(pattern ? `Always allow ${visible(pattern)}` : 'Always allow', decide('allow-always')) : null,
      button('Stop the prompt', decide('abort'), { kind: 'outline' })))
  return { element, focus: () => deny.focus(), update() {}, cancel: decide('deny') }
}

function plain(text) {
  return h('pre', { class: 'rllm-code', tabindex: '0', role: 'region', 'aria-label': 'What will run' }, visible(text))
}

/** Added and removed lines keep their sign: colour only helps. @param {string} diff unified */
function diffOf(diff) {
  const kinds = { '+': 'added', '-': 'removed', '@': 'place' }
  const lines = visible(diff).split('\n').map(line => {
    const kind = /^(\+\+\+|---) /.test(line) ? 'place' : kinds[line[0]]
    return h('span', { class: kind ? `rllm-line rllm-line--${kind}` : 'rllm-line' }, `${line}\n`)
  })
  return h('pre', { class: 'rllm-code', tabindex: '0', role: 'region', 'aria-label': 'Change of the file' }, lines)
}
