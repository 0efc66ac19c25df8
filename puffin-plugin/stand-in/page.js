/** Puffin's page as far as the panel can see it: the preload's `invoke`, the picker, a view that mounts the component. */

import { conversationHandlersOf, conversationsOf } from './conversations.js'
import { createFakeMain } from './fake-main.js'
import { handlersOf, many, variety } from './servers.js'

const wanted = new URLSearchParams(location.search)
document.documentElement.dataset.theme = wanted.get('theme') ?? 'dark'
const count = Number(wanted.get('servers') ?? 0)
const configs = wanted.has('servers') ? many(count) : variety()
const conversations = wanted.has('silent') ? [] : conversationsOf(Number(wanted.get('conversations') ?? 0))
const fake = createFakeMain({ ...handlersOf(configs), ...conversationHandlersOf(conversations) }, () => ({ configs, problems: [], questions: [], approvals: [], streams: [], daemon: { phase: 'ready', vault: { state: wanted.get('vault') ?? 'unlocked', ...(wanted.get('vault') === 'locked' ? { problem: { message: 'The saved secrets are locked with a passphrase.', data: { code: 'VAULT_LOCKED' } } } : {}) } } }))

/** With `bridge`, main is a real one outside the page: a test answers what is asked here. */
function createBridge() {
  const waiting = new Map()
  let id = 0
  window.bridgeAnswer = (asked, answer) => {
    waiting.get(asked)(answer)
    waiting.delete(asked)
  }
  return (plugin, name, params) => new Promise(resolve => {
    waiting.set(++id, resolve)
    window.bridgeAsk(JSON.stringify({ id, plugin, name, params }))
  })
}

const main = wanted.has('bridge') ? { invoke: createBridge() } : fake
const listeners = { activated: [], deactivated: [] }
window.puffin = {
  plugins: {
    invoke: main.invoke,
    onPluginActivated: listener => listeners.activated.push(listener),
    onPluginDeactivated: listener => listeners.deactivated.push(listener)
  }
}

const { RemoteLLMSettings } = await import('../renderer/remote-llm-settings.js')
const context = {}
let component = null

/** What a test reaches. */
window.standIn = {
  main,
  configs,
  conversations,
  /** As Puffin does it at the first click on the tab. @returns {Promise<number>} milliseconds to the first frame */
  async open() {
    const began = performance.now()
    if (!component) {
      component = new RemoteLLMSettings(document.querySelector('.plugin-component-wrapper'), { viewId: 'remote-llm', pluginName: 'remote-llm-plugin', context })
      await component.init()
    }
    await component.onActivate(context)
    await new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)))
    return performance.now() - began
  },
  close: () => component.onDeactivate(context),
  enable: () => listeners.activated.forEach(listener => listener({ name: 'remote-llm-plugin' })),
  disable() {
    listeners.deactivated.forEach(listener => listener({ name: 'remote-llm-plugin' }))
    component?.onDestroy(context)
    component = null
  }
}
if (wanted.has('open')) await window.standIn.open()
document.documentElement.dataset.ready = 'true'
