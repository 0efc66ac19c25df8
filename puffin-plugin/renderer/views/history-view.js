/** The conversations of this project: the newest first, found by words, a page at a time. */

import { configOf } from '../state/state.js'
import { clock, count, visible } from '../state/format.js'
import { createConversationView } from './conversation-view.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'

/** After the last key. */
const SEARCH_MS = 250

const STATES = { interrupted: ['✂', 'interrupted'], running: ['◐', 'answering'], unreadable: ['▲', 'cannot be read'], whole: ['', ''] }

export function createHistoryView(actions) {
  const searchId = uniqueId('history-search')
  const heading = h('h2', { class: 'rllm-heading', tabindex: '-1' }, 'History')
  let timer = null
  const search = h('input', {
    id: searchId, type: 'text', class: 'rllm-input', autocomplete: 'off', spellcheck: 'false', placeholder: 'words of the first question, a model, a server',
    on: {
      input: () => {
        clearTimeout(timer)
        timer = setTimeout(() => actions.searchHistory(search.value), SEARCH_MS)
      }
    }
  })
  const field = h('div', { class: 'rllm-field' }, h('label', { for: searchId, class: 'rllm-label' }, 'Find a conversation'), search)
  const status = h('p', { class: 'rllm-hint', role: 'status' })
  const problemText = h('span', {})
  const problem = h('div', { class: 'rllm-note rllm-note--error rllm-section-head', hidden: true }, problemText, button('Try again', () => actions.refreshHistory(), { small: true }))
  const list = h('ul', { class: 'rllm-conversations', 'aria-label': 'Conversations' })
  const more = button('Show more', actions.moreHistory, { small: true })
  const all = h('div', { class: 'rllm-history-list' }, heading, field, problem, status, list, more)
  const one = createConversationView(actions)
  const element = h('section', { class: 'rllm-history', 'aria-label': 'History', hidden: true }, all, one.element)
  const keyed = createKeyedList(list, ({ item }) => item.conversationId, ({ item }) => createRow(item, actions))
  let drawn = {}
  let shown = null

  function draw(state) {
    const { history } = state
    keyed.update(history.items.map(item => ({ item, config: configOf(state, item.configId) })))
    setText(problemText, history.error ? visible([history.error.message, history.error.data?.hint].filter(Boolean).join(' ')) : '')
    setHidden(problem, !history.error)
    setText(status, statusOf(history))
    setHidden(field, history.items.length === 0 && history.search === '')
    setHidden(more, history.items.length >= history.total || history.items.length === 0)
    setAttribute(more, 'disabled', history.phase === 'refreshing')
    if (document.activeElement !== search && search.value !== history.search) search.value = history.search
  }

  /** Where the focus goes: into what was opened, and back to the row it was opened from. */
  function focusOn({ view, conversation }) {
    const now = view === 'history' ? conversation?.conversationId ?? '' : null
    if (now === shown) return
    const before = shown
    shown = now
    if (now === null) return
    if (now) one.focus()
    else (keyed.get(before)?.open ?? heading).focus()
  }

  return {
    element,
    update(state) {
      const open = state.view === 'history'
      setHidden(element, !open)
      if (open) {
        setHidden(all, state.conversation !== null)
        if (drawn.history !== state.history || drawn.remoteConfigs !== state.remoteConfigs) draw(state)
        drawn = { history: state.history, remoteConfigs: state.remoteConfigs }
        one.update(state)
      }
      focusOn(state)
    }
  }
}

function statusOf({ phase, items, total, search }) {
  if (phase === 'loading' || phase === 'idle') return 'Reading the conversations …'
  if (items.length > 0) return items.length < total ? `The newest ${count(items.length)} of ${count(total)}.` : `${count(total)} ${total === 1 ? 'conversation' : 'conversations'}.`
  if (phase === 'failed') return ''
  return search ? 'No conversation has these words.' : 'No conversation yet. Choose a remote model in Puffin’s prompt box and ask it something: what is said is kept here, for this project, on this computer.'
}

function createRow({ conversationId }, actions) {
  const sign = h('span', { class: 'rllm-light', 'aria-hidden': 'true' })
  const title = h('span', { class: 'rllm-server-name' })
  const facts = h('span', { class: 'rllm-server-where' })
  const open = h('button', { type: 'button', class: 'rllm-server rllm-row', on: { click: () => actions.openConversation(conversationId) } }, sign, h('span', { class: 'rllm-server-text' }, title, facts))
  return {
    element: h('li', {}, open),
    open,
    update({ item, config }) {
      const [shape, word] = STATES[item.state] ?? STATES.whole
      setText(sign, shape)
      setAttribute(sign, 'data-state', item.state === 'interrupted' ? 'needs-user' : item.state === 'running' ? 'running' : 'off')
      setText(title, visible(item.title) || '(no words)')
      const server = config?.name ?? (item.configId ? `${item.configId} (deleted)` : '')
      const cost = item.usage ? `last answer ${count(item.usage.inputTokens)} tokens in, ${count(item.usage.outputTokens)} out` : ''
      setText(facts, [word, server, item.model, item.messageCount > 0 ? `${count(item.messageCount)} messages` : '', clock(item.updatedAt), cost].filter(Boolean).map(visible).join(' · '))
    }
  }
}
