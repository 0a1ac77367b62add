'use strict';
// Members behind a login. For programs: /auth?username=…&password=… answers with a token, /members with
// `Authorization: Bearer TOKEN` the rows. For browsers: / is a login form, /list the rows.
// Settings: PORT, DB_HOST, DB_PORT, DB_NAME, DB_USER, DB_PASSWORD, JWT_SECRET, ADMIN_USERNAME, ADMIN_PASSWORD, DRAIN_SECONDS.
const crypto = require('node:crypto');
const os = require('node:os');
const Koa = require('koa');
const Router = require('@koa/router');
const bodyParser = require('koa-bodyparser');
const jwt = require('jsonwebtoken');
const { Database, Unavailable } = require('./database');
const pages = require('./pages');

const env = process.env;
const port = Number(env.PORT || 3000);
const version = env.VERSION || '1';
const served = `${os.hostname()} (version ${version})`;
const drainMs = Number(env.DRAIN_SECONDS || 2) * 1000;
const tokenSeconds = 3600;
const cookie = 'token';

const database = new Database({
  host: env.DB_HOST || 'localhost',
  port: Number(env.DB_PORT || 3306),
  database: env.DB_NAME || 'koa_sample',
  user: env.DB_USER || 'root',
  password: env.DB_PASSWORD || '',
});
// All replicas must agree on it: without one of its own it follows from the password that they share.
const secret = env.JWT_SECRET || crypto.createHmac('sha256', env.DB_PASSWORD || '').update('koa-sample').digest('hex');

let draining = false;

const sign = (username) => jwt.sign({ sub: username }, secret, { algorithm: 'HS256', expiresIn: tokenSeconds });

// Who asks: the user of a valid token, or undefined.
function caller(ctx) {
  const [scheme, given] = (ctx.get('Authorization') || '').split(' ');
  const token = scheme.toLowerCase() === 'bearer' ? given : ctx.cookies.get(cookie);
  if (!token) return undefined;
  try {
    return jwt.verify(token, secret, { algorithms: ['HS256'] }).sub;
  } catch {
    return undefined;
  }
}

async function checked(username, password) {
  return typeof username === 'string' && typeof password === 'string' && database.check(username, password);
}

const router = new Router();

router.get('/healthz', (ctx) => { ctx.body = 'ok'; });
router.get('/readyz', async (ctx) => {
  if (draining) ctx.throw(503, 'ending');
  if (!database.ready) ctx.throw(503, 'the database is not there yet');
  await database.reachable();
  ctx.body = 'ok';
});

async function authenticate(ctx, { username, password }) {
  if (!(await checked(username, password))) ctx.throw(401, 'wrong username or password');
  ctx.body = { token: sign(username) };
}
router.get('/auth', (ctx) => authenticate(ctx, ctx.query));
router.post('/auth', (ctx) => authenticate(ctx, ctx.request.body));

router.get('/members', async (ctx) => {
  if (!caller(ctx)) {
    ctx.set('WWW-Authenticate', 'Bearer');
    ctx.throw(401, 'a token from /auth is needed');
  }
  ctx.body = await database.members();
});

router.get('/', (ctx) => {
  if (caller(ctx)) return ctx.redirect('/list');
  ctx.type = 'html';
  ctx.body = pages.login(served);
});
router.post('/login', async (ctx) => {
  const { username, password } = ctx.request.body;
  if (!(await checked(username, password))) {
    ctx.status = 401;
    ctx.type = 'html';
    ctx.body = pages.login(served, 'Wrong name or password.');
    return;
  }
  ctx.cookies.set(cookie, sign(username), { httpOnly: true, sameSite: 'strict', maxAge: tokenSeconds * 1000 });
  ctx.redirect('/list');
});
router.get('/list', async (ctx) => {
  const who = caller(ctx);
  if (!who) return ctx.redirect('/');
  ctx.type = 'html';
  ctx.body = pages.members(served, who, await database.members());
});
router.post('/logout', (ctx) => {
  ctx.cookies.set(cookie, null);
  ctx.redirect('/');
});

const app = new Koa();
app.silent = true;
app.use(async (ctx, next) => {
  ctx.set('X-Served-By', os.hostname());
  ctx.set('X-Version', version);
  if (draining) ctx.set('Connection', 'close');
  try {
    await next();
    if (ctx.status === 404 && ctx.body === undefined) ctx.throw(404, 'there is nothing here');
  } catch (error) {
    const unavailable = error instanceof Unavailable;
    ctx.status = unavailable ? 503 : error.status || 500;
    if (unavailable) ctx.set('Retry-After', '1');
    if (ctx.status >= 500 && ctx.path !== '/readyz') console.error(`${ctx.method} ${ctx.path}: ${error.message}`);
    ctx.body = { error: unavailable ? 'the database cannot be reached' : error.expose ? error.message : 'internal error' };
  }
});
app.use(bodyParser({ jsonLimit: '16kb', formLimit: '16kb' }));
app.use(router.routes()).use(router.allowedMethods());

const server = app.listen(port, () => console.log(`listening on port ${port}, version ${version}`));
server.keepAliveTimeout = 75_000;   // longer than a proxy in front keeps its connections: it closes first

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function prepare() {
  for (let wait = 250; !draining; wait = Math.min(wait * 2, 4000)) {
    try {
      await database.prepare({ username: env.ADMIN_USERNAME, password: env.ADMIN_PASSWORD });
      console.log('the database is ready');
      return;
    } catch (error) {
      console.error(`the database is not ready: ${error.message}`);
      await sleep(wait);
    }
  }
}
prepare();

// Serves on for a moment, asking clients to close, then ends when the last answer is out.
async function drain(signal) {
  if (draining) return;
  draining = true;
  console.log(`${signal}: ending in ${drainMs} ms`);
  await sleep(drainMs);
  server.close(async () => {
    await database.close().catch(() => {});
    process.exit(0);
  });
  server.closeIdleConnections();
}
process.on('SIGTERM', drain);
process.on('SIGINT', drain);
