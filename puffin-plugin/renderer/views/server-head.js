/** The head of a server: its name, its light, when it was seen last, and what can be done with it as a whole. */

import { NEW } from '../state/state.js'
import { clock, light, visible } from '../state/format.js'
import { button, h, setAttribute, setHidden, setText } from './dom.js'

export function createServerHead(actions) {
  let key = null
  let asking = false
  const title = h('h2', { class: 'rllm-heading', tabindex: '-1' })
  const shape = h('span', { class: 'rllm-light', 'aria-hidden': 'true' })
  const status = h('span', { class: 'rllm-status-text', role: 'status' })
  const countdown = h('span', { class: 'rllm-countdown' })
  const checked = h('span', { class: 'rllm-hint' })
  const problem = h('p', { class: 'rllm-note rllm-note--error' })
  const disconnect = button('Disconnect', () => actions.disconnect(key), { small: true })
  const retry = button('Now', () => actions.connect(key), { small: true })
  const remove = button('Delete', () => ask(true), { small: true })
  const yes = button('Delete it and its secrets', () => {
    ask(false)
    actions.remove(key)
  }, { small: true })
  const no = button('Keep it', () => ask(false), { small: true })
  const confirm = h('div', { class: 'rllm-actions', role: 'group', 'aria-label': 'Delete this server?', hidden: true }, no, yes)
  const element = h('header', { class: 'rllm-head' },
    h('div', { class: 'rllm-section-head' }, title, h('div', { class: 'rllm-actions' }, disconnect, remove, confirm)),
    h('p', { class: 'rllm-status' }, shape, status, countdown, retry, checked),
    problem)

  function ask(open) {
    asking = open
    setHidden(confirm, !open)
    setHidden(remove, open)
    ;(open ? no : remove).focus()
  }

  return {
    element,
    update(state, config, now) {
      if (key !== state.selected && asking) {
        asking = false
        setHidden(confirm, true)
      }
      key = state.selected
      const isNew = key === NEW
      setText(title, isNew ? 'New server' : visible(config?.name ?? ''))
      for (const part of [shape, status, countdown, checked]) setHidden(part, isNew)
      setHidden(remove, isNew || asking)
      const shown = light(config?.status, now)
      setText(shape, shown.shape)
      setAttribute(shape, 'data-state', shown.state)
      setText(status, shown.text)
      setText(countdown, shown.countdown ?? '')
      setText(checked, `Checked ${clock(config?.lastCheckedAt)}`)
      const live = ['ready', 'connecting', 'reconnecting', 'needs-user'].includes(config?.status?.state)
      setHidden(disconnect, isNew || !live)
      setHidden(retry, isNew || config?.status?.state !== 'reconnecting')
      const error = ['failed', 'needs-user', 'reconnecting'].includes(config?.status?.state) ? config.status.error : null
      setText(problem, error ? visible([error.message, error.data?.hint].filter(Boolean).join(' ')) : '')
      setHidden(problem, !error)
    },
    focus: () => title.focus()
  }
}
