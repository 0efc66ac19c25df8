/** The whole panel: servers at the side, one of them in full. Drawn at most once a frame. */

import { NEW, configOf } from '../state/state.js'
import { NO_PLACES, placesOf } from '../state/question-place.js'
import { button, h, setHidden, setText } from './dom.js'
import { createHistoryView } from './history-view.js'
import { createModelsView } from './models-view.js'
import { createServerForm } from './server-form.js'
import { createServerHead } from './server-head.js'
import { createServerList } from './server-list.js'
import { createTestView } from './test-view.js'
import { createTrustBanner } from './trust-banner.js'
import { createUsageView } from './usage-view.js'
import { createVaultView } from './vault-view.js'

/**
 * @param {{actions: object, secrets: object}} session
 * @param {ReturnType<import('./questions.js').createQuestions>} questions
 */
export function createPanel({ actions, secrets }, questions) {
  const list = createServerList(actions, questions)
  const history = createHistoryView(actions)
  const head = createServerHead(actions, questions)
  const trust = createTrustBanner(actions)
  const form = createServerForm(actions, secrets)
  const test = createTestView(actions, questions)
  const models = createModelsView(actions)
  const usage = createUsageView(actions)
  const daemonSentence = h('p', {})
  const again = button('Try again', actions.reload, { small: true })
  const daemon = h('div', { class: 'rllm-note rllm-note--error rllm-section-head', role: 'alert', hidden: true }, daemonSentence, again)
  const vault = createVaultView(actions)
  const notice = h('p', { class: 'rllm-notice', role: 'status' })
  const needed = h('p', { class: 'rllm-visually-hidden', role: 'alert' })
  const nothing = h('p', { class: 'rllm-nothing' }, 'Choose a server, or add one.')
  const detail = h('div', { class: 'rllm-detail' }, head.element, trust.element, form.element, test.element, models.element, usage.element)
  const element = h('section', { class: 'rllm-panel', 'aria-label': 'Remote LLM' },
    h('div', { class: 'rllm-top' }, daemon, vault.element, notice, needed),
    h('div', { class: 'rllm-columns' }, list.element, h('div', { class: 'rllm-main' }, nothing, detail, history.element)))
  let selected = null
  let shownNotice = null

  /** A server that was opened has the focus; one that was only saved under its id leaves it where it is. */
  function focusOn(key, config, question) {
    const before = selected
    selected = key
    // A question that stands there has it already.
    if (before === key || key === null || (before === NEW && config) || question) return
    if (key === NEW) form.focus()
    else head.focus()
  }

  return {
    element,
    /** @param {object} state @param {number} now milliseconds since the epoch @param {boolean} shown whether it can be seen */
    update(state, now, shown) {
      const places = shown ? placesOf(state) : NO_PLACES
      list.update(state, now, places.rows)
      setText(needed, neededText(state, places))
      const config = configOf(state, state.selected)
      const past = state.view === 'history'
      const open = state.selected !== null && !past
      setHidden(nothing, open || past)
      setHidden(detail, !open)
      setText(daemonSentence, daemonText(state.daemon))
      setHidden(daemon, daemonSentence.textContent === '')
      setHidden(again, !['unreachable', 'failed'].includes(state.daemon.phase))
      vault.update(state.daemon)
      if (shownNotice !== state.notice) {
        shownNotice = state.notice
        setText(notice, state.notice ? `${state.notice.kind === 'error' ? '✕ ' : ''}${state.notice.text}` : '')
        notice.dataset.kind = state.notice?.kind ?? ''
      }
      if (open) {
        head.update(state, config, now, places.server)
        trust.update(state, config)
        form.update(state)
        test.update(state, now, places.test)
        models.update(state, config)
        usage.update(state, config)
      }
      focusOn(past ? null : state.selected, config, places.server ?? places.test)
      history.update(state)
    }
  }
}

/** For who does not see the row in which a question stands. */
function neededText(state, { server, rows }) {
  const keys = [...(server ? [server.configId] : []), ...rows.keys()]
  return keys.map(key => `${configOf(state, key)?.name ?? 'The new server'} needs you.`).join(' ')
}

function daemonText({ phase, error }) {
  if (phase === 'unreachable' || phase === 'failed') return [error?.message ?? 'The remote LLM daemon does not run.', error?.hint].filter(Boolean).join(' ')
  if (phase === 'waiting') return `${error?.message ?? 'The remote LLM daemon has ended.'} It is started again.`
  return ''
}
