'use strict'

/**
 * The events of a prompt as the lines of Claude's stream-json, which Puffin's activity and CLI views
 * read: one line for each answer of the model and one for each result.
 *
 * @param {{onChunk: (text: string) => void, onRaw: (line: string) => void}} sinks
 */
function createTranscript({ onChunk, onRaw }) {
  let blocks = []
  let text = ''
  let round = 0
  let shown = ''
  const line = message => onRaw(JSON.stringify(message))

  /** What the model has said so far in this round, as one line. */
  function flush() {
    const content = [...(text === '' ? [] : [{ type: 'text', text }]), ...blocks]
    if (content.length > 0) line({ type: 'assistant', message: { role: 'assistant', content } })
    text = ''
    blocks = []
  }

  return {
    begin: ({ sessionId, model, tools }) => line({ type: 'system', subtype: 'init', session_id: sessionId, model, tools }),

    /** @param {{type: string}} event of `stream-chunk` @param {{round?: number}} chunk */
    event(event, chunk) {
      if ((chunk.round ?? round) !== round) {
        flush()
        if (shown !== '' && !shown.endsWith('\n') && event.type === 'text-delta') say('\n\n')
        round = chunk.round
      }
      switch (event.type) {
        case 'text-delta':
          text += event.text
          say(event.text)
          break
        case 'tool-call-ready':
          blocks.push({ type: 'tool_use', id: event.id, name: event.name, input: event.input })
          break
        case 'tool-result':
          flush()
          line({ type: 'user', message: { role: 'user', content: [{ type: 'tool_result', tool_use_id: event.id, content: event.preview ?? '', is_error: event.isError === true }] } })
          break
        case 'warning':
          line({ type: 'system', subtype: 'warning', text: event.message })
          break
      }
    },

    /** @param {{sessionId: string, rounds: number, durationMs: number, result: string, usage: object, isError: boolean}} end */
    end({ sessionId, rounds, durationMs, result, usage, isError }) {
      flush()
      line({
        type: 'result', subtype: isError ? 'error_during_execution' : 'success', is_error: isError, session_id: sessionId, num_turns: rounds,
        duration_ms: durationMs, total_cost_usd: 0, cost_usd: 0, result,
        usage: { input_tokens: usage?.inputTokens ?? 0, output_tokens: usage?.outputTokens ?? 0 }
      })
    },

    say,
    /** All that a person has seen. */
    get shown() {
      return shown
    }
  }

  function say(piece) {
    shown += piece
    onChunk(piece)
  }
}

module.exports = { createTranscript }
