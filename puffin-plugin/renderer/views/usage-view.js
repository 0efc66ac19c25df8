/** The prompts of a server: what runs now, and what each has cost in tokens and time, by which way. */

import { configOf, routeOf } from '../state/state.js'
import { clock, count, duration, visible } from '../state/format.js'
import { button, createKeyedList, h, setAttribute, setHidden, setText } from './dom.js'

const PHASES = {
  connecting: 'connecting', queued: 'waiting in the queue', 'loading-model': 'the model is loading', prefill: 'reading the prompt',
  waiting: 'waiting for the first token', thinking: 'thinking', answering: 'answering', tool: 'using a tool'
}

export function createUsageView(actions) {
  const route = h('p', { class: 'rllm-route' })
  const running = h('ul', { class: 'rllm-plain-list' })
  const rows = h('tbody', { role: 'rowgroup' })
  const table = h('table', { class: 'rllm-models', role: 'table' },
    h('caption', { class: 'rllm-visually-hidden' }, 'Prompts that have ended'),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ['Ended', 'Model', 'Tokens in', 'Tokens out', 'First token', 'Speed', 'End'].map(name => h('th', { scope: 'col', role: 'columnheader' }, name)))),
    rows)
  const none = h('p', { class: 'rllm-hint' }, 'No prompt since Puffin was started.')
  const element = h('section', { class: 'rllm-section', 'aria-label': 'Usage and route' }, h('h3', { class: 'rllm-title' }, 'Usage and route'), route, running, none, table)
  const streams = createKeyedList(running, stream => stream.streamId, stream => createStream(stream, actions))
  const finished = createKeyedList(rows, prompt => prompt.streamId, prompt => createFinished(prompt, actions))
  let drawn = {}

  return {
    element,
    update(state, config) {
      setHidden(element, !config)
      if (!config) return
      if (drawn.config !== config) setText(route, `${visible(routeOf(config).join(' → '))}. No port is opened on this computer.`)
      if (drawn.streams !== state.streams || drawn.config !== config) streams.update(Object.values(state.streams).filter(({ configId }) => configId === config.configId))
      if (drawn.finishedPrompts !== state.finishedPrompts || drawn.config !== config) {
        const own = state.finishedPrompts.filter(({ configId }) => configId === config.configId)
        finished.update(own)
        setHidden(table, own.length === 0)
        setHidden(none, own.length > 0)
      }
      drawn = { config, streams: state.streams, finishedPrompts: state.finishedPrompts }
    }
  }
}

function createStream({ streamId }, actions) {
  const line = h('p', {})
  const tail = h('pre', { class: 'rllm-tail', 'aria-hidden': 'true' })
  const text = document.createTextNode('')
  tail.append(text)
  const stop = button('Stop', () => actions.stopPrompt(streamId), { small: true })
  const element = h('li', { class: 'rllm-stream' }, h('div', { class: 'rllm-section-head' }, line, stop), tail)
  let shown = ''

  return {
    element,
    update(stream) {
      const phase = stream.stopping ? 'stopping on the server' : PHASES[stream.phase] ?? stream.phase
      const tokens = stream.usage?.outputTokens ? `, ${count(stream.usage.outputTokens)} tokens` : ''
      setText(line, `${stream.model ?? 'Prompt'}: ${phase}, ${count(stream.characters)} characters${tokens}`)
      setAttribute(stop, 'disabled', Boolean(stream.stopping))
      setAttribute(stop, 'aria-label', `Stop the prompt to ${stream.model ?? 'this server'}`)
      const wanted = stream.tail.slice(-400)
      if (wanted !== shown) text.data = visible(shown = wanted)
      setHidden(tail, wanted === '')
    }
  }
}

function createFinished({ conversationId }, actions) {
  const end = document.createTextNode('')
  const open = conversationId ? button('Open', () => actions.openConversation(conversationId), { small: true }) : null
  const cells = ['Ended', 'Model', 'Tokens in', 'Tokens out', 'First token', 'Speed', 'End'].map(label => h('td', { role: 'cell', 'data-label': label }))
  cells.at(-1).append(end, ' ', ...(open ? [open] : []))
  return {
    element: h('tr', { role: 'row' }, cells),
    update(prompt) {
      const { usage, timing } = prompt
      const speed = timing?.tokensPerSecond
      const how = prompt.error ? `✕ ${prompt.error.message}` : END[prompt.stopReason] ?? prompt.stopReason ?? ''
      const texts = [clock(prompt.endedAt), prompt.model ?? '', count(usage?.inputTokens), count(usage?.outputTokens), duration(timing?.firstTokenMs), speed ? `${speed.toFixed(1)} tokens/s` : '']
      if (end.data !== how) end.data = visible(how)
      if (open) setAttribute(open, 'aria-label', `Open the conversation that ended at ${texts[0]}`)
      texts.forEach((text, index) => setText(cells[index], visible(text)))
    }
  }
}

const END = {
  end_turn: '✓ complete', max_tokens: '✕ cut: the limit of tokens', stop_sequence: '✓ stop sequence', tool_use: '✓ calls a tool',
  cancelled: '– stopped by you', refusal: '✕ refused', limit: '✕ a limit of the tools'
}
