'use strict'

const Module = require('node:module')
const { afterwards } = require('./lab')

/**
 * Puts a stand-in for Electron where `require('electron')` finds it, until the test ends. Its key store
 * seals by turning every byte, so that nothing that is sealed can be found by reading.
 */
function provideElectron(t) {
  const turn = bytes => Buffer.from(bytes.map(byte => byte ^ 0xa5))
  const electron = {
    safeStorage: {
      isEncryptionAvailable: () => true,
      getSelectedStorageBackend: () => 'gnome_libsecret',
      encryptString: text => turn(Buffer.from(text)),
      decryptString: sealed => turn(sealed).toString()
    }
  }
  const load = Module._load
  Module._load = function (name, ...more) {
    return name === 'electron' ? electron : load.call(this, name, ...more)
  }
  afterwards(t, () => { Module._load = load })
  return electron
}

module.exports = { provideElectron }
