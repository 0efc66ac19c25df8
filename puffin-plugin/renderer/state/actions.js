/** What a person does with servers. Each action calls main and presents what came of it. */

import { NEW, configOf } from './state.js'
import { paramsOf, problemsOf } from './draft.js'
import { candidatesOf, mayTryNext } from './detect.js'
import { errorForState } from '../ipc.js'

/** Questions during a test and a first connection have their own clocks; this is only the outermost. */
const CONNECT_DEADLINE_MS = 300_000

/**
 * @param {object} options
 * @param {(handler: string, params?: object, options?: object) => Promise<object>} options.call
 * @param {{present: Function, state: Function}} options.sam
 * @param {object} options.secrets what is typed into secret fields, apart from the state
 * @param {() => number} [options.now]
 */
export function createActions({ call, sam, secrets, now = Date.now }) {
  const { present, state } = sam
  let tests = 0

  const notice = (text, kind = 'info') => present({ type: 'NOTICE', notice: { text, kind, at: now() } })
  const noticeError = error => notice(errorForState(error).message, 'error')

  /** One action at a time for a server; what fails is told. @returns {Promise<any>} undefined if it failed */
  async function busy(key, action, job) {
    if (state().busy[key]) return undefined
    present({ type: 'BUSY', key, action })
    try {
      return await job()
    } catch (error) {
      noticeError(error)
      return undefined
    } finally {
      present({ type: 'IDLE', key })
    }
  }

  const params = key => paramsOf(state().drafts[key], path => secrets.get(key, path))

  async function configure(key) {
    const sent = state().drafts[key]
    const { config } = await call('configure', params(key)).catch(error => {
      present({ type: 'DRAFT_REFUSED', key, error: errorForState(error) })
      throw error
    })
    secrets.forget(key)
    present({ type: 'REMOTE_CONFIG_SAVED', config }, { type: 'DRAFT_SAVED', key, config, sent })
    return config
  }

  function whole(key) {
    const problems = problemsOf(state().drafts[key])
    const [place] = Object.keys(problems)
    if (!place) return true
    present({ type: 'DRAFT_CHECKED', key, places: Object.keys(problems) })
    notice(problems[place], 'error')
    return false
  }

  async function connectTo(configId) {
    const { status } = await call('connect', { configId }, { deadlineMs: CONNECT_DEADLINE_MS })
    present({ type: status.state === 'ready' ? 'REMOTE_CONNECTION_ESTABLISHED' : 'REMOTE_CONNECTION_CHANGED', status, receivedAt: now() })
  }

  const actions = {
    notice,
    select: key => present({ type: 'SERVER_SELECTED', key }),
    addServer: () => present({ type: 'SERVER_SELECTED', key: NEW }),
    changeField: (key, section, path, value) => present({ type: 'DRAFT_FIELD_CHANGED', key, section, path, value }),
    changeSecret(key, path, text) {
      secrets.set(key, path, text)
      const fate = text === '' ? 'none' : 'replace'
      if (state().drafts[key]?.secrets[path] !== fate) present({ type: 'DRAFT_SECRET_CHANGED', key, path, fate })
    },
    /** @param {'saved'|'replace'|'forget'} fate */
    decideSecret(key, path, fate) {
      secrets.set(key, path, '')
      present({ type: 'DRAFT_SECRET_CHANGED', key, path, fate })
    },
    toggleMore: (key, more) => present({ type: 'DRAFT_MORE_TOGGLED', key, more }),
    addHop: key => present({ type: 'HOP_ADDED', key }),
    removeHop: (key, hop) => present({ type: 'HOP_REMOVED', key, hop }),
    moveHop: (key, hop, by) => present({ type: 'HOP_MOVED', key, hop, by }),
    addModel: key => present({ type: 'MODEL_ADDED', key }),
    removeModel: (key, model) => present({ type: 'MODEL_REMOVED', key, model }),
    discard(key) {
      secrets.forget(key)
      present({ type: 'DRAFT_DISCARDED', key })
    },

    /** Fills the form from an ssh command, an alias, a URL or a Host block. */
    async paste(key, text) {
      if (text.trim() === '') return
      try {
        const { ssh, llm, warnings } = await call('parse-target', { text })
        if (!ssh && !llm) return notice('That is no ssh command, host or URL.', 'error')
        present({ type: 'DRAFT_FILLED', key, ssh, llm, warnings })
        notice('The form is filled.')
      } catch (error) {
        noticeError(error)
      }
    },
    usePreset(key, presetId) {
      const preset = state().presets.find(({ id }) => id === presetId)
      if (preset) present({ type: 'DRAFT_FILLED', key, llm: preset.llm, warnings: preset.notes })
    },

    save(key) {
      if (!whole(key)) return undefined
      return busy(key, 'save', async () => {
        const config = await configure(key)
        notice(`${config.name} is saved.`)
        return config
      })
    },
    /** Connects to what the form says: it is saved first where it was changed. */
    connect(key) {
      if (!whole(key)) return undefined
      return busy(key, 'connect', async () => {
        const config = state().drafts[key].dirty || key === NEW ? await configure(key) : configOf(state(), key)
        await connectTo(config.configId)
      })
    },
    disconnect: configId =>
      busy(configId, 'disconnect', async () => {
        const { status } = await call('disconnect', { configId })
        present({ type: 'REMOTE_CONNECTION_CHANGED', status, receivedAt: now() })
      }),
    remove: configId =>
      busy(configId, 'delete', async () => {
        const name = configOf(state(), configId)?.name
        await call('delete-config', { configId })
        secrets.forget(configId)
        present({ type: 'REMOTE_CONFIG_DELETED', configId })
        notice(`${name} is deleted.`)
      }),
    trust: (configId, digest) =>
      busy(configId, 'trust', async () => {
        const { config } = await call('trust-config', { configId, digest })
        present({ type: 'REMOTE_CONFIG_SAVED', config })
        notice(`${config.name} is trusted on this computer.`)
      }),

    /** Tests what the form says; saves nothing. */
    test(key) {
      if (!whole(key)) return undefined
      return busy(key, 'test', async () => {
        const testId = `test-${now()}-${++tests}`
        const { configId, ssh, llm } = params(key)
        const draft = state().drafts[key]
        present({ type: 'TEST_STARTED', key, testId, hops: draft.hops.length + 1, startedAt: now(), endpoint: llm.apiEndpoint })
        try {
          const unchanged = configId && !draft.dirty
          const candidates = candidatesOf(draft, state().presets)
          let result
          for (const apiEndpoint of candidates) {
            const subject = unchanged ? { configId } : { ...(configId ? { configId } : {}), ssh, llm: { ...llm, apiEndpoint } }
            result = await call('test-connection', { ...subject, requestId: testId }, { deadlineMs: CONNECT_DEADLINE_MS })
            if (result.success && candidates.length > 1) present({ type: 'DRAFT_FILLED', key, llm: { apiEndpoint } })
            if (!mayTryNext(result, state().tests[key]?.asked)) break
          }
          present({ type: 'TEST_FINISHED', key, testId, result, finishedAt: now() })
          if (unchanged) await actions.refreshConfig(configId)
        } catch (error) {
          present({ type: 'TEST_FAILED', key, testId, error: errorForState(error), finishedAt: now() })
        }
      })
    },
    async cancelTest(key) {
      const test = state().tests[key]
      if (test?.running) await call('cancel', { requestId: test.testId }).catch(noticeError)
    },

    async refreshConfig(configId) {
      try {
        const { config } = await call('get-config', { configId })
        present({ type: 'REMOTE_CONFIG_SAVED', config })
      } catch (error) {
        if (error.code === 'CONFIG_NOT_FOUND') present({ type: 'REMOTE_CONFIG_DELETED', configId })
        else noticeError(error)
      }
    },
    async loadModels(configId, refresh = false) {
      if (state().modelLists[configId]?.phase === 'loading') return
      present({ type: 'MODELS_LOADING', configId })
      try {
        const result = await call('list-models', { configId, refresh }, { deadlineMs: CONNECT_DEADLINE_MS })
        present({ type: 'MODELS_LOADED', configId, result, at: now() })
      } catch (error) {
        present({ type: 'MODELS_FAILED', configId, error: errorForState(error) })
      }
    },
    async selectModel(configId, modelId) {
      try {
        const { config } = await call('select-model', { configId, modelId })
        present({ type: 'REMOTE_CONFIG_SAVED', config }, { type: 'REMOTE_MODEL_SELECTED', configId, modelId })
        notice(`${modelId} is the default model of ${config.name}.`)
      } catch (error) {
        noticeError(error)
      }
    }
  }
  return actions
}

/** What is typed into secret fields: kept beside the state, never in it, until it is saved. */
export function createSecrets() {
  const typed = new Map()
  const id = (key, path) => `${key}\n${path}`
  return {
    get: (key, path) => typed.get(id(key, path)),
    set(key, path, text) {
      if (text === '') typed.delete(id(key, path))
      else typed.set(id(key, path), text)
    },
    forget(key) {
      for (const name of [...typed.keys()]) if (name.startsWith(`${key}\n`)) typed.delete(name)
    }
  }
}
