/** One conversation: read in pages, the newest first; what runs in it; and how it goes on. */

import { streamOf } from '../state/conversation-acceptors.js'
import { configOf } from '../state/state.js'
import { clock, count, visible } from '../state/format.js'
import { createConfirm } from './confirm.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'
import { createGoOn } from './go-on.js'
import { messageElement } from './message.js'

export function createConversationView(actions) {
  let id = null
  const title = h('h2', { class: 'rllm-heading', tabindex: '-1' })
  const facts = h('p', { class: 'rllm-hint' })
  const back = button('Back to the list', actions.closeConversation, { small: true })
  const remove = createConfirm({ label: 'Delete', question: 'Delete this conversation?', yes: 'Delete it for good', no: 'Keep it', onYes: () => actions.deleteConversation(id) })
  const status = h('p', { class: 'rllm-hint', role: 'status' })
  const problemText = h('span', {})
  const problem = h('div', { class: 'rllm-note rllm-note--error rllm-section-head', hidden: true }, problemText, button('Try again', actions.reloadConversation, { small: true }))
  const earlier = button('Show earlier messages', actions.earlierMessages, { small: true })
  const list = h('ol', { class: 'rllm-messages', 'aria-label': 'Messages' })
  const live = createLive(actions)
  const goOn = createGoOn(actions)
  const element = h('article', { class: 'rllm-conversation', 'aria-label': 'Conversation', hidden: true },
    h('div', { class: 'rllm-section-head' }, back, h('div', { class: 'rllm-actions' }, ...remove.elements)),
    title, facts, problem, status, earlier, list, live.element, goOn.element)
  const messages = createKeyedList(list, item => item.key, () => createMessage())
  let drawn = {}

  function draw(conversation, config) {
    const { summary, messages: shown, from, unsaved, phase, error } = conversation
    setText(title, visible(summary.title) || 'Conversation')
    setText(facts, factsOf(conversation, config))
    setText(problemText, error ? visible(error.message) : '')
    setHidden(problem, !error)
    setText(status, phase === 'loading' ? 'Reading the conversation …' : from > 0 ? `${count(from)} earlier messages are not shown.` : '')
    setHidden(status, status.textContent === '')
    setHidden(earlier, from === 0)
    setAttribute(earlier, 'disabled', conversation.doing !== null)
    const rows = shown.map((message, index) => ({ key: `${from + index}`, message }))
    messages.update([...rows, ...restOf(unsaved)])
  }

  return {
    element,
    focus: () => title.focus(),
    update(state) {
      const { conversation } = state
      setHidden(element, !conversation)
      if (!conversation) {
        id = null
        drawn = {}
        return
      }
      if (id !== conversation.conversationId) remove.close()
      id = conversation.conversationId
      const stream = streamOf(state, id)
      const config = configOf(state, conversation.summary.configId)
      live.update(stream)
      remove.show(!stream && conversation.phase !== 'loading')
      if (drawn.conversation !== conversation || drawn.config !== config) draw(conversation, config)
      if (drawn.conversation !== conversation || drawn.remoteConfigs !== state.remoteConfigs || Boolean(drawn.stream) !== Boolean(stream) || drawn.finishedPrompts !== state.finishedPrompts) goOn.update(state, conversation)
      drawn = { conversation, config, stream, remoteConfigs: state.remoteConfigs, finishedPrompts: state.finishedPrompts }
    }
  }
}

function factsOf({ summary: { configId, model, messageCount, toolCalls, createdAt, updatedAt } }, config) {
  const server = config?.name ?? (configId ? `${configId} (deleted)` : '')
  const tools = toolCalls > 0 ? `${count(toolCalls)} tool ${toolCalls === 1 ? 'call' : 'calls'}` : ''
  return [server, model, messageCount === undefined ? '' : `${count(messageCount)} ${messageCount === 1 ? 'message' : 'messages'}`, tools, createdAt ? `begun ${clock(createdAt)}` : '', updatedAt ? `last ${clock(updatedAt)}` : ''].filter(Boolean).map(visible).join(' · ')
}

/** What the daemon has not kept stands at the end, as if it had. */
function restOf(unsaved) {
  if (!unsaved) return []
  const asked = unsaved.asked.map(({ role, content }) => ({ role, content: typeof content === 'string' ? [{ type: 'text', text: content }] : content }))
  const said = unsaved.text === '' ? [] : [{ role: 'assistant', content: [{ type: 'text', text: unsaved.text }], partial: true }]
  return [...asked, ...said].map((message, index) => ({ key: `unsaved ${unsaved.at} ${index}`, message }))
}

/** Built anew when it is another: an answer that was finished takes its beginning's place. */
function createMessage() {
  const element = h('li', {})
  let drawn = null
  return {
    element,
    update({ message }) {
      if (drawn === message) return
      drawn = message
      element.replaceChildren(messageElement(message))
    }
  }
}

const PHASES = { connecting: 'connecting', queued: 'waiting in the queue', 'loading-model': 'the model is loading', prefill: 'reading the prompt', waiting: 'waiting for the first token', thinking: 'thinking', answering: 'answering', tool: 'using a tool' }

/** The answer under way: its last characters, as they come. */
function createLive(actions) {
  let id = null
  const line = h('p', { role: 'status' })
  const text = document.createTextNode('')
  const tail = h('div', { class: 'rllm-said rllm-live', 'aria-hidden': 'true' }, text)
  const stop = button('Stop', () => actions.stopPrompt(id), { small: true })
  const element = h('div', { class: 'rllm-message rllm-message--model', hidden: true }, h('div', { class: 'rllm-section-head' }, line, stop), tail)
  return {
    element,
    update(stream) {
      setHidden(element, !stream)
      if (!stream) return
      id = stream.streamId
      setText(line, `${visible(stream.model ?? 'The model')}: ${stream.stopping ? 'stopping on the server' : PHASES[stream.phase] ?? stream.phase}`)
      setAttribute(stop, 'disabled', Boolean(stream.stopping))
      if (text.data !== stream.tail) text.data = visible(stream.tail)
      setHidden(tail, stream.tail === '')
    }
  }
}
