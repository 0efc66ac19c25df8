/**
 * Why a tool did not do what it was asked: a stable code for programs, and a sentence that the model
 * and a person can act on. A fault is an answer, not a crash.
 */
'use strict'

class Fault extends Error {
  /**
   * @param {string} code  `TOOL_NOT_FOUND`, `TOOL_INVALID_INPUT`, `TOOL_TIMEOUT`, `TOOL_CANCELLED`,
   *   `TOOL_OUTSIDE_PROJECT`, `TOOL_READ_ONLY`, `TOOL_PATH_CHANGED` or
   *   `TOOL_EXECUTION_FAILED`
   * @param {string} message  what is wrong, and what to do instead
   */
  constructor(code, message) {
    super(message)
    this.name = 'Fault'
    this.code = code
  }
}

const SYSTEM_SENTENCES = {
  ENOENT: 'it does not exist',
  EACCES: 'this user may not access it',
  EPERM: 'the system does not permit it',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  ENOTEMPTY: 'it is a folder that is not empty',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'it is a symbolic link that may not be followed',
  EBUSY: 'it is in use'
}

/**
 * A failed system call as a fault. Node's own message is left out: it names paths the model need not know.
 *
 * @param {Error} error  what was thrown
 * @param {string} name  the file, as the model called it
 * @returns {Fault}
 */
function fromSystem(error, name) {
  if (error instanceof Fault) return error
  const reason = SYSTEM_SENTENCES[error?.code] ?? `the system answered ${error?.code ?? 'with an unknown error'}`
  return new Fault('TOOL_EXECUTION_FAILED', `${name}: ${reason}.`)
}

module.exports = { Fault, fromSystem }
