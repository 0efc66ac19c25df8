/** All of this page: one state, one connection to main, and what happens by itself. */

import { createCall, errorForState } from './ipc.js'
import { createEventLoop } from './event-loop.js'
import { createActions, createSecrets } from './state/actions.js'
import { createAnswers } from './state/answers.js'
import { createConversationActions } from './state/conversation-actions.js'
import { conversationAcceptors } from './state/conversation-acceptors.js'
import { configAcceptors } from './state/config-acceptors.js'
import { draftAcceptors } from './state/draft-acceptors.js'
import { proposalsOf } from './state/events.js'
import { promptAcceptors } from './state/prompt-acceptors.js'
import { combineAcceptors, createInstance } from './state/sam.js'
import { configOf, initialState } from './state/state.js'
import { testAcceptors } from './state/test-acceptors.js'

/**
 * @param {object} options
 * @param {Function} options.invoke `window.puffin.plugins.invoke`
 * @param {() => Promise<void>} [options.pace] awaited between polls
 * @param {() => number} [options.now] milliseconds since the epoch
 */
export function createSession({ invoke, pace, now = Date.now }) {
  const call = createCall(invoke)
  const secrets = createSecrets()
  const watchers = new Set()
  const sam = createInstance({
    initialState: initialState(),
    acceptors: combineAcceptors(configAcceptors, draftAcceptors, testAcceptors, promptAcceptors, conversationAcceptors, followUps()),
    nextActions: [nextAction],
    render: state => watchers.forEach(watch => watch(state))
  })
  const serverActions = createActions({ call, sam, secrets, now })
  const told = { call, sam, notice: serverActions.notice }
  const actions = { ...serverActions, ...createAnswers(told), ...createConversationActions(told), reload: () => loop.refresh() }

  const loop = createEventLoop({
    call,
    pace,
    onEvents: events => sam.present(...events.flatMap(event => proposalsOf(event, now()))),
    onState: answer => {
      // Without a daemon there is no list; the one on show, and what was typed, stay.
      if (answer.daemon?.phase === 'failed') sam.present({ type: 'DAEMON_CHANGED', daemon: answer.daemon })
      else sam.present({ ...replacement(answer, now()), type: 'REMOTE_STATE_REPLACED' })
    },
    onReachable: error => {
      if (error) sam.present({ type: 'DAEMON_CHANGED', daemon: { phase: 'unreachable', error: errorForState(error) } })
      else loadOnce()
    }
  })

  /** A connection that has just become usable says which models it has; a profile that changed is read again. */
  function nextAction(state, previous, proposal) {
    if (proposal.type === 'CONFIG_STALE') actions.refreshConfig(proposal.configId)
    // A daemon that was started again knows nothing of what its predecessor was doing.
    if (proposal.type === 'DAEMON_CHANGED' && state.daemon.phase === 'ready' && previous.daemon.phase !== 'ready') loop.refresh()
    if (CHANGES_HISTORY.has(proposal.type) && state.view === 'history') {
      if (state.conversation) actions.refreshConversation()
      else actions.refreshHistory()
    }
    const wanted = proposal.type === 'REMOTE_CONNECTION_ESTABLISHED' ? proposal.status.configId : proposal.type === 'SERVER_SELECTED' ? proposal.key : null
    if (wanted === null || configOf(state, wanted)?.status?.state !== 'ready') return
    const established = configOf(previous, wanted)?.status?.state !== 'ready'
    if (established || !state.modelLists[wanted]) actions.loadModels(wanted)
  }

  /** What does not change while Puffin runs. What cannot be had is left out: the form works without. */
  let loaded = false
  async function loadOnce() {
    if (loaded) return
    loaded = true
    const quietly = async (handler, present) => {
      try {
        sam.present(present(await call(handler)))
      } catch {
        loaded = false
      }
    }
    await Promise.all([
      quietly('list-presets', ({ presets }) => ({ type: 'PRESETS_LOADED', presets })),
      quietly('list-ssh-hosts', ({ hosts, warnings }) => ({ type: 'FOUND_ON_THIS_MACHINE', found: { sshHosts: hosts, warnings: warnings ?? [] } })),
      quietly('list-identities', ({ agent, keyFiles }) => ({ type: 'FOUND_ON_THIS_MACHINE', found: { agent: agent ?? null, keyFiles: keyFiles ?? [] } }))
    ])
  }

  return {
    actions,
    call,
    sam,
    secrets,
    start: loop.start,
    stop: loop.stop,
    /** @param {(state: object) => void} watch called after each change @returns {() => void} stops it */
    subscribe(watch) {
      watchers.add(watch)
      return () => watchers.delete(watch)
    }
  }
}

/** A prompt has ended, or nobody knows which have. */
const CHANGES_HISTORY = new Set(['STREAM_ENDED', 'REMOTE_STATE_REPLACED', 'CONVERSATION_CLOSED'])

/** Proposals that change nothing themselves, and only let the next-action predicate see them. */
function followUps() {
  return { CONFIG_STALE: state => state }
}

function replacement({ configs, problems, questions, approvals, streams, daemon, ...rest }, at) {
  const running = {}
  for (const stream of streams ?? []) running[stream.streamId] = { phase: 'connecting', tail: '', characters: 0, chunks: 0, warnings: [], startedAt: at, ...stream }
  return {
    configs: configs ?? [],
    problems: problems ?? [],
    questions: (questions ?? []).map(question => ({ receivedAt: at, ...question })),
    approvals: approvals ?? [],
    streams: running,
    daemon: { phase: 'ready', error: null, ...daemon },
    ...rest
  }
}
