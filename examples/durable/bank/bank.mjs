// Accounts in SQLite. Several processes share the file.
import Database from 'libsql'

export class Bank {
  #database
  #transfer

  constructor(file) {
    const database = new Database(file)
    this.#database = database
    database.exec('PRAGMA busy_timeout = 10000')
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL)')
    database.exec(
      'CREATE TABLE IF NOT EXISTS done (session TEXT, number INTEGER, PRIMARY KEY (session, number)) WITHOUT ROWID',
    )
    const note = database.prepare('INSERT OR IGNORE INTO done VALUES (?, ?)')
    const add = database.prepare(
      'INSERT INTO accounts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cents = cents + excluded.cents',
    )
    this.#transfer = database.transaction((session, number, { from, to, cents }) => {
      // The effect, and the note that it is done, are one transaction: both are there after a crash, or neither.
      if (note.run(session, number).changes === 0) return false
      add.run(from, -cents)
      add.run(to, cents)
      return true
    }).immediate
  }

  /** Moves money once, however often it is told. Returns whether it was told for the first time. */
  transfer(session, number, order) {
    return this.#transfer(session, number, order)
  }

  balances() {
    const rows = this.#database.prepare('SELECT name, cents FROM accounts').all()
    return Object.fromEntries(rows.map(({ name, cents }) => [name, cents]))
  }

  close() {
    this.#database.close()
  }
}
