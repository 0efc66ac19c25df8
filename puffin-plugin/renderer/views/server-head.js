/** The head of a server: its name, its light, when it was seen last, and what can be done with it as a whole. */

import { NEW } from '../state/state.js'
import { clock, light, visible } from '../state/format.js'
import { createConfirm } from './confirm.js'
import { isEditable } from './questions.js'
import { button, h, setAttribute, setHidden, setText } from './dom.js'

export function createServerHead(actions, questions) {
  let key = null
  const title = h('h2', { class: 'rllm-heading', tabindex: '-1' })
  const shape = h('span', { class: 'rllm-light', 'aria-hidden': 'true' })
  const status = h('span', { class: 'rllm-status-text', role: 'status' })
  const countdown = h('span', { class: 'rllm-countdown' })
  const checked = h('span', { class: 'rllm-hint' })
  const problem = h('p', { class: 'rllm-note rllm-note--error' })
  const disconnect = button('Disconnect', () => actions.disconnect(key), { small: true })
  const retry = button('Now', () => actions.connect(key), { small: true })
  const remove = createConfirm({ label: 'Delete', question: 'Delete this server?', yes: 'Delete it and its secrets', no: 'Keep it', onYes: () => actions.remove(key) })
  const place = questions.createPlace()
  const element = h('header', { class: 'rllm-head' },
    h('div', { class: 'rllm-section-head' }, title, h('div', { class: 'rllm-actions' }, disconnect, ...remove.elements)),
    h('p', { class: 'rllm-status' }, shape, status, countdown, retry, checked),
    problem,
    place.element)

  return {
    element,
    /** @param {object|null} question what the way to this server asks */
    update(state, config, now, question) {
      if (key !== state.selected) remove.close()
      key = state.selected
      const isNew = key === NEW
      setText(title, isNew ? 'New server' : visible(config?.name ?? ''))
      for (const part of [shape, status, countdown, checked]) setHidden(part, isNew)
      remove.show(!isNew)
      const shown = question ? { ...light({ state: 'needs-user' }, now), countdown: config?.status?.step ? `: ${config.status.step}` : '' } : light(config?.status, now)
      setText(shape, shown.shape)
      setAttribute(shape, 'data-state', shown.state)
      setText(status, shown.text)
      setText(countdown, shown.countdown ?? '')
      setText(checked, `Checked ${clock(config?.lastCheckedAt)}`)
      const live = ['ready', 'connecting', 'reconnecting', 'needs-user'].includes(config?.status?.state)
      setHidden(disconnect, isNew || !live)
      // What waits for a person goes on when they ask for it, and never by itself.
      const waits = config?.status?.state === 'needs-user' && !question && state.busy[key] === undefined
      setText(retry, waits ? 'Connect and answer' : 'Now')
      setHidden(retry, isNew || !(waits || config?.status?.state === 'reconnecting'))
      const error = ['failed', 'needs-user', 'reconnecting'].includes(config?.status?.state) ? config.status.error : null
      setText(problem, error ? visible([error.message, error.data?.hint].filter(Boolean).join(' ')) : '')
      setHidden(problem, !error)
      // Somebody who types into the form means the form, unless they have asked for the connection.
      place.update(question, now, () => state.busy[key] === 'connect' || !isEditable(document.activeElement))
    },
    focus: () => title.focus()
  }
}
