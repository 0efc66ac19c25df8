/** What the panel knows. Truth is in the daemon; this mirrors it by `get-state` and events. No secret is ever in it. */

/** The draft of a server that is not saved yet. */
export const NEW = 'new'

export function initialState() {
  return {
    daemon: { phase: 'starting', error: null, vault: null },

    // The three of Puffin's design.
    remoteConfigs: [],
    activeRemoteConnection: { configId: null, isConnected: false, selectedModel: null, models: [] },
    remoteConversationHistory: [],

    /** What is on show beside the list of servers: 'server' (the selected one) or 'history'. */
    view: 'server',
    history: { phase: 'idle', error: null, items: [], total: 0, search: '' },
    /** The one on show; null: the list is. */
    conversation: null,

    configProblems: [],
    /** Draft key (a configId, or NEW) on show; null: nothing is. */
    selected: null,
    drafts: {},
    tests: {},
    modelLists: {},
    questions: [],
    approvals: [],
    streams: {},
    finishedPrompts: [],
    found: { sshHosts: [], agent: null, keyFiles: [], warnings: [], loaded: false },
    presets: [],
    /** Actions under way, by draft key: 'save', 'test', 'connect' … */
    busy: {},
    notice: null
  }
}

/** @returns {object|undefined} the saved server of that id */
export function configOf(state, configId) {
  return state.remoteConfigs.find(config => config.configId === configId)
}

/** Where a prompt goes, for a person: each machine on the way, and the LLM server as the last one sees it. */
export function routeOf(config) {
  const hops = (config.ssh.jumpHosts ?? []).map(hop => hop.host)
  return ['this computer', ...hops, config.ssh.host, config.llm.apiEndpoint]
}

/** A copy of `map` with the key set, or without it where the value is undefined. */
export function withKey(map, key, value) {
  const copy = { ...map }
  if (value === undefined) delete copy[key]
  else copy[key] = value
  return copy
}
