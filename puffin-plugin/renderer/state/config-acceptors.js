/** Saved servers, their connections and their models. */

import { configOf, withKey } from './state.js'
import { draftOf } from './draft.js'

const byName = (a, b) => a.name.localeCompare(b.name) || a.configId.localeCompare(b.configId)

export const configAcceptors = {
  /** The whole of what main knows: at the start, and after a gap in the events. */
  REMOTE_STATE_REPLACED(state, { configs, problems = [], questions = [], approvals = [], streams = {}, daemon }) {
    const known = new Set(configs.map(config => config.configId))
    const kept = map => Object.fromEntries(Object.entries(map).filter(([key]) => key === 'new' || known.has(key)))
    const replaced = {
      ...state,
      remoteConfigs: [...configs].sort(byName),
      configProblems: problems,
      questions,
      approvals,
      streams,
      daemon: { ...state.daemon, ...daemon },
      modelLists: kept(state.modelLists),
      tests: kept(state.tests),
      drafts: freshDrafts(kept(state.drafts), configs),
      selected: state.selected === 'new' || known.has(state.selected) ? state.selected : null
    }
    return withActive(replaced, state.activeRemoteConnection.configId)
  },

  REMOTE_CONFIG_SAVED(state, { config }) {
    const others = state.remoteConfigs.filter(other => other.configId !== config.configId)
    const saved = {
      ...state,
      remoteConfigs: [...others, config].sort(byName),
      configProblems: state.configProblems.filter(problem => problem.configId !== config.configId),
      drafts: freshDrafts(state.drafts, [config])
    }
    return state.activeRemoteConnection.configId === config.configId ? withActive(saved, config.configId) : saved
  },

  REMOTE_CONFIG_DELETED(state, { configId }) {
    const deleted = {
      ...state,
      remoteConfigs: state.remoteConfigs.filter(config => config.configId !== configId),
      configProblems: state.configProblems.filter(problem => problem.configId !== configId),
      drafts: withKey(state.drafts, configId),
      tests: withKey(state.tests, configId),
      modelLists: withKey(state.modelLists, configId),
      busy: withKey(state.busy, configId),
      selected: state.selected === configId ? null : state.selected
    }
    return state.activeRemoteConnection.configId === configId ? withActive(deleted, null) : deleted
  },

  REMOTE_CONNECTION_CHANGED: connectionStatus,
  REMOTE_CONNECTION_FAILED: connectionStatus,
  REMOTE_CONNECTION_ESTABLISHED(state, proposal) {
    return withActive(connectionStatus(state, proposal), proposal.status.configId)
  },

  REMOTE_MODEL_SELECTED(state, { configId, modelId }) {
    const config = configOf(state, configId)
    if (!config) return state
    const selected = replaceConfig(state, { ...config, selectedModel: modelId })
    return withActive(selected, configId)
  },

  MODELS_LOADING(state, { configId }) {
    if (!configOf(state, configId)) return state
    const known = state.modelLists[configId]
    return { ...state, modelLists: withKey(state.modelLists, configId, { ...known, phase: 'loading', error: null }) }
  },
  MODELS_LOADED(state, { configId, result, at }) {
    if (!configOf(state, configId)) return state
    const list = { phase: 'ready', error: null, at, server: result.server, models: result.models, warnings: result.warnings ?? [] }
    const loaded = { ...state, modelLists: withKey(state.modelLists, configId, list) }
    return state.activeRemoteConnection.configId === configId ? withActive(loaded, configId) : loaded
  },
  MODELS_FAILED(state, { configId, error }) {
    if (!configOf(state, configId)) return state
    const known = state.modelLists[configId]
    return { ...state, modelLists: withKey(state.modelLists, configId, { ...known, phase: 'failed', error }) }
  },

  DAEMON_CHANGED(state, { daemon }) {
    return { ...state, daemon: { ...state.daemon, ...daemon } }
  },
  PRESETS_LOADED(state, { presets }) {
    return { ...state, presets }
  },
  FOUND_ON_THIS_MACHINE(state, { found }) {
    return { ...state, found: { ...state.found, ...found, loaded: true } }
  }
}

/** A status of a profile that is not known yet waits for its profile, which brings its own. */
function connectionStatus(state, { status, receivedAt }) {
  const config = configOf(state, status.configId)
  if (!config) return state
  const checked = status.state === 'ready' && receivedAt ? { lastCheckedAt: new Date(receivedAt).toISOString() } : {}
  const changed = replaceConfig(state, { ...config, ...checked, status: { ...status, receivedAt } })
  return state.activeRemoteConnection.configId === status.configId ? withActive(changed, status.configId) : changed
}

function replaceConfig(state, config) {
  const remoteConfigs = state.remoteConfigs.map(other => (other.configId === config.configId ? config : other))
  return { ...state, remoteConfigs }
}

/** The design's `activeRemoteConnection`, out of what is known of that profile. */
function withActive(state, configId) {
  const config = configOf(state, configId)
  const activeRemoteConnection = {
    configId: config?.configId ?? null,
    isConnected: config?.status?.state === 'ready',
    selectedModel: config?.selectedModel ?? null,
    models: state.modelLists[configId]?.models ?? []
  }
  return { ...state, activeRemoteConnection }
}

/** Drafts that nobody has touched follow their profile; a changed one keeps what the person wrote. */
function freshDrafts(drafts, configs) {
  const fresh = { ...drafts }
  for (const config of configs) {
    const draft = fresh[config.configId]
    if (draft && !draft.dirty) fresh[config.configId] = draftOf(config)
    else if (draft) fresh[config.configId] = { ...draft, outdated: draft.base?.trust?.digest !== config.trust?.digest }
  }
  return fresh
}
