/** How a conversation goes on: the answer that was cut off, and what is said next. */

import { lastPromptOf, streamOf } from '../state/conversation-acceptors.js'
import { configOf } from '../state/state.js'
import { visible } from '../state/format.js'
import { button, h, setAttribute, setHidden, setText, uniqueId } from './dom.js'

const DOING = { continue: 'Asking the model to go on …', retry: 'Asking again …', ask: 'Sending …', delete: 'Deleting …', earlier: 'Reading …' }

export function createGoOn(actions) {
  const reasonId = uniqueId('reason')
  const serverId = uniqueId('over')
  const textId = uniqueId('say')
  let choices = []
  const over = () => choices.find(({ configId }) => configId === server.value) ?? null
  let shownFor = null
  let offered = ''
  const reason = h('p', { id: reasonId })
  const goOn = button('Continue', () => actions.continueAnswer(over()), { 'aria-describedby': reasonId })
  const again = button('Retry', () => actions.retryAnswer(over()), { 'aria-describedby': reasonId })
  const interrupted = h('section', { class: 'rllm-note rllm-note--warning rllm-interrupted', 'aria-label': 'Interrupted answer', hidden: true }, reason, h('div', { class: 'rllm-actions' }, goOn, again))
  const server = h('select', { id: serverId, class: 'rllm-input' })
  const input = h('textarea', { id: textId, class: 'rllm-input', rows: 3, on: { keydown: onKey, input: () => draw() } })
  const send = h('button', { type: 'submit', class: 'btn secondary small rllm-button' }, 'Send')
  const doing = h('span', { role: 'status' })
  const none = h('p', { class: 'rllm-hint' }, 'Add a server, or trust one, and this conversation can go on.')
  const form = h('form', { class: 'rllm-say', 'aria-label': 'Go on with this conversation', on: { submit } },
    h('div', { class: 'rllm-field' }, h('label', { for: serverId, class: 'rllm-label' }, 'Goes on with'), server),
    h('div', { class: 'rllm-field' }, h('label', { for: textId, class: 'rllm-label' }, 'What to say next'), input),
    h('div', { class: 'rllm-actions' }, send, h('span', { class: 'rllm-hint' }, 'Ctrl+Enter sends.')))
  const element = h('div', { class: 'rllm-go-on' }, interrupted, none, form, doing)
  let busy = false

  async function submit(event) {
    event?.preventDefault()
    const words = input.value
    if (busy || words.trim() === '' || over() === null) return
    // What could not be sent is not lost.
    if (await actions.askInConversation(over(), words)) {
      if (input.value === words) input.value = ''
      draw()
    }
  }

  function onKey(event) {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return
    event.preventDefault()
    submit()
  }

  const draw = () => setAttribute(send, 'disabled', busy || over() === null || input.value.trim() === '')

  /** Servers that may be used, the conversation's own first; each with the model that would answer. */
  function offer(state, { summary }) {
    const configs = state.remoteConfigs.filter(config => config.trust?.state !== 'untrusted')
    const own = configOf({ remoteConfigs: configs }, summary.configId)
    choices = [...(own ? [own] : []), ...configs.filter(config => config !== own)].map(config => {
      const model = (config === own && summary.model) || config.selectedModel || config.llm.defaultModel || null
      return { configId: config.configId, model, label: `${config.name}${model ? `, ${model}` : ''}` }
    })
    const key = JSON.stringify(choices)
    if (key !== offered) {
      offered = key
      const before = server.value
      server.replaceChildren(...choices.map(({ configId, label }) => h('option', { value: configId }, visible(label))))
      if (choices.some(({ configId }) => configId === before) && shownFor === summary.conversationId) server.value = before
    }
  }

  return {
    element,
    /** @param {object} state @param {object} conversation the one on show */
    update(state, conversation) {
      offer(state, conversation)
      if (shownFor !== conversation.conversationId) input.value = ''
      shownFor = conversation.conversationId
      const running = Boolean(streamOf(state, conversation.conversationId)) || conversation.ending?.state === 'running'
      busy = running || conversation.doing !== null
      const { state: end, canContinue, canRetry } = conversation.ending ?? {}
      const last = lastPromptOf(state, conversation.conversationId)
      const refused = last?.error?.data?.code === 'API_CONTINUE_UNSUPPORTED'
      const mayContinue = canContinue && !refused && over() !== null
      const hadFocus = interrupted.contains(document.activeElement)
      setHidden(interrupted, end !== 'interrupted' || running)
      setText(reason, reasonOf(conversation, last, { mayContinue, refused }))
      setHidden(goOn, !mayContinue)
      setHidden(again, !canRetry || over() === null)
      for (const control of [goOn, again]) setAttribute(control, 'disabled', busy)
      setHidden(none, over() !== null)
      setHidden(form, over() === null)
      setText(doing, DOING[conversation.doing] ?? '')
      if (hadFocus && (interrupted.hidden || document.activeElement === document.body)) input.focus()
      draw()
    }
  }
}

/** Why the answer is not whole, and what the buttons do. */
function reasonOf({ ending }, last, { mayContinue, refused }) {
  const error = ending?.error ?? last?.error
  const why = error ? [error.message, error.hint ?? error.data?.hint].filter(Boolean).join(' ') : last?.stopReason === 'cancelled' ? 'You stopped the answer.' : 'The answer was cut off.'
  const kept = ending?.canContinue ? 'What was said is kept.' : ''
  const what = mayContinue ? 'Continue goes on where it stops; Retry asks for the whole answer again.' : ending?.usedTools && !refused ? 'Tools had run: Retry asks the model to look at what they did, and to finish.' : 'Retry asks for the answer again.'
  return visible([why, kept, what].filter(Boolean).join(' '))
}
