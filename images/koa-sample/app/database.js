'use strict';
// The table of members, and everything that is asked of it. The database may come later than we do and may go away
// meanwhile: then a question fails with `Unavailable`, and the next one tries again.
const crypto = require('node:crypto');
const mysql = require('mysql2/promise');

class Unavailable extends Error {}

const lost = new Set(['PROTOCOL_CONNECTION_LOST', 'ECONNRESET', 'EPIPE', 'ER_SERVER_SHUTDOWN', 'ER_CONNECTION_KILLED']);

function hashed(password, salt = crypto.randomBytes(16)) {
  return `scrypt:${salt.toString('hex')}:${crypto.scryptSync(password, salt, 32).toString('hex')}`;
}

function matches(password, stored) {
  const [method, salt, hash] = (stored || '').split(':');
  if (method !== 'scrypt') return false;
  const given = crypto.scryptSync(password, Buffer.from(salt, 'hex'), 32);
  return crypto.timingSafeEqual(given, Buffer.from(hash, 'hex'));
}

// What a name that nobody has is compared with, so that its absence takes as long to tell.
const nobody = hashed(crypto.randomBytes(16).toString('hex'));

const firstMembers = [
  ['ada', 'Ada Lovelace', 'ada@example.com'],
  ['grace', 'Grace Hopper', 'grace@example.com'],
  ['alan', 'Alan Turing', 'alan@example.com'],
];

class Database {
  constructor(settings) {
    this.pool = mysql.createPool({ ...settings, connectionLimit: 8, connectTimeout: 3000, charset: 'utf8mb4' });
    this.ready = false;
  }

  async ask(sql, values = []) {
    for (let attempt = 1; ; ++attempt) {
      try {
        const [rows] = await this.pool.execute(sql, values);
        return rows;
      } catch (error) {
        // A connection of the pool that died since it was last used: another one is made.
        if (lost.has(error.code) && attempt <= 8) continue;
        if (error.code && error.code.startsWith('ER_') && !lost.has(error.code)) throw error;
        throw new Unavailable(error.code || error.message);
      }
    }
  }

  // Makes the table and its first rows where they are missing; safe when several of us do so at once.
  async prepare(admin) {
    await this.ask(`CREATE TABLE IF NOT EXISTS members (
      id INT AUTO_INCREMENT PRIMARY KEY,
      username VARCHAR(64) NOT NULL UNIQUE,
      name VARCHAR(128) NOT NULL,
      email VARCHAR(128) NOT NULL,
      password VARCHAR(255) NULL) CHARACTER SET utf8mb4`);
    for (const row of firstMembers) {
      await this.ask('INSERT IGNORE INTO members (username, name, email) VALUES (?, ?, ?)', row);
    }
    if (admin.username && admin.password) {
      await this.ask('INSERT IGNORE INTO members (username, name, email, password) VALUES (?, ?, ?, ?)',
        [admin.username, 'Administrator', `${admin.username}@example.com`, hashed(admin.password)]);
    }
    this.ready = true;
  }

  async check(username, password) {
    const [row] = await this.ask('SELECT password FROM members WHERE username = ?', [username]);
    return matches(password, row && row.password ? row.password : nobody) && Boolean(row && row.password);
  }

  members() {
    return this.ask('SELECT id, username, name, email FROM members ORDER BY id');
  }

  async reachable() {
    await this.ask('SELECT 1');
  }

  close() {
    return this.pool.end();
  }
}

module.exports = { Database, Unavailable };
