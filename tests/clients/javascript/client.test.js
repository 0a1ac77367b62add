// The official JavaScript client, unmodified: what programs written with it do all day.
// Called by test_javascript.py with KUBECONFIG and NAMESPACE, in whose pod "web" a server listens.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromFile(process.env.KUBECONFIG);
const namespace = process.env.NAMESPACE;
const core = config.makeApiClient(k8s.CoreV1Api);
const limit = { timeout: 60000 };

const configMap = (name, data) => ({ metadata: { name, labels: { made: 'here' } }, data });
const refusedWith = (code) => (problem) => problem instanceof k8s.ApiException && problem.code === code;

async function read(stream) {
  let text = '';
  for await (const chunk of stream) text += chunk;
  return text;
}

// What a command in the pod writes, and how it ended.
async function run(command, input = null) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config).exec(namespace, 'web', 'main', command, out, err, input, false, resolve).catch(reject);
  });
  out.end();
  err.end();
  return { out: await read(out), err: await read(err), status };
}

async function eventually(what, check) {
  const deadline = Date.now() + 20000;
  while (!(await check())) {
    assert.ok(Date.now() < deadline, `not within 20 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test('typed calls', limit, async () => {
  const made = await core.createNamespacedConfigMap({ namespace, body: configMap('typed', { key: '1' }) });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  await assert.rejects(core.createNamespacedConfigMap({ namespace, body: configMap('typed') }), refusedWith(409));
  const changed = await core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: { ...made, data: { key: '2' } } });
  assert.deepEqual(changed.data, { key: '2' });
  await assert.rejects(core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: made }), refusedWith(409));
  const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'made=here', limit: 10 });
  assert.deepEqual(list.items.map((item) => item.metadata.name), ['typed']);
  await core.deleteNamespacedConfigMap({ name: 'typed', namespace });
  await assert.rejects(core.readNamespacedConfigMap({ name: 'typed', namespace }), refusedWith(404));
});

test('patches of each kind', limit, async () => {
  await core.createNamespacedConfigMap({ namespace, body: configMap('patched', { a: '1', b: '1' }) });
  const patch = (body, strategy, more = {}) =>
    core.patchNamespacedConfigMap({ name: 'patched', namespace, body, ...more },
      k8s.setHeaderOptions('Content-Type', strategy));
  const json = await patch([{ op: 'replace', path: '/data/a', value: '2' }], k8s.PatchStrategy.JsonPatch);
  assert.deepEqual(json.data, { a: '2', b: '1' });
  const merged = await patch({ data: { b: null } }, k8s.PatchStrategy.MergePatch);
  assert.deepEqual(merged.data, { a: '2' });
  const strategic = await patch({ data: { c: '3' } }, k8s.PatchStrategy.StrategicMergePatch);
  assert.deepEqual(strategic.data, { a: '2', c: '3' });
  const applied = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'patched' }, data: { c: '4' } };
  await assert.rejects(patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me' }), refusedWith(409));
  const forced = await patch(applied, k8s.PatchStrategy.ServerSideApply, { fieldManager: 'me', force: true });
  assert.deepEqual(forced.data, { a: '2', c: '4' });
});

test('watch', limit, async () => {
  const start = (await core.listNamespacedConfigMap({ namespace })).metadata.resourceVersion;
  const seen = [];
  let controller;
  const done = new Promise((resolve, reject) => {
    controller = new k8s.Watch(config).watch(`/api/v1/namespaces/${namespace}/configmaps`,
      { resourceVersion: start, labelSelector: 'made=here', allowWatchBookmarks: true },
      (type, object) => {
        seen.push(`${type} ${object.metadata.name}`);
        if (type === 'DELETED') resolve();
      },
      (problem) => (problem && problem.name !== 'AbortError' ? reject(problem) : undefined));
  });
  await controller;
  await core.createNamespacedConfigMap({ namespace, body: configMap('watched') });
  await core.deleteNamespacedConfigMap({ name: 'watched', namespace });
  await done;
  (await controller).abort();
  assert.deepEqual(seen, ['ADDED watched', 'DELETED watched']);
});

test('informer', limit, async () => {
  const list = () => core.listNamespacedSecret({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/secrets`, list);
  const seen = [];
  for (const verb of ['add', 'update', 'delete']) {
    informer.on(verb, (object) => seen.push(`${verb} ${object.metadata.name} ${object.metadata.labels?.step ?? ''}`));
  }
  informer.on('error', (problem) => seen.push(`error ${problem}`));
  const secret = (name, step) => ({ metadata: { name, labels: { step } } });
  await core.createNamespacedSecret({ namespace, body: secret('before', '1') });
  await informer.start();
  await core.createNamespacedSecret({ namespace, body: secret('after', '1') });
  await core.replaceNamespacedSecret({ name: 'after', namespace, body: secret('after', '2') });
  await core.deleteNamespacedSecret({ name: 'before', namespace });
  await eventually('four changes', () => seen.length >= 4);
  assert.deepEqual(seen, ['add before 1', 'add after 1', 'update after 2', 'delete before 1']);
  await informer.stop();
  assert.equal(informer.get('after', namespace).metadata.labels.step, '2');
});

test('exec', limit, async () => {
  const both = await run(['sh', '-c', 'echo out; echo err >&2']);
  assert.deepEqual([both.out, both.err, both.status.status], ['out\n', 'err\n', 'Success']);
  const failed = await run(['sh', '-c', 'exit 3']);
  assert.equal(failed.status.status, 'Failure');
  assert.deepEqual(failed.status.details.causes, [{ reason: 'ExitCode', message: '3' }]);
  const fed = await run(['head', '-n', '1'], Readable.from(['from stdin\n']));
  assert.equal(fed.out, 'from stdin\n');
});

test('logs', limit, async () => {
  const out = new PassThrough();
  const text = read(out);
  await new k8s.Log(config).log(namespace, 'web', 'main', out, { follow: false, tailLines: 1 });
  assert.equal(await text, 'started\n');
});

test('port-forward', limit, async () => {
  const [out, input] = [new PassThrough(), new PassThrough()];
  const forward = new k8s.PortForward(config);
  const socket = await forward.portForward(namespace, 'web', [8080], out, null, input);
  input.write('GET / HTTP/1.0\r\n\r\n');
  let text = '';
  out.on('data', (chunk) => (text += chunk));
  await eventually('the page', () => text.endsWith('from-the-pod\n'));
  socket.close();
});

test('cp both ways', limit, async () => {
  const [there, back] = [mkdtempSync(join(tmpdir(), 'skiff-cp-')), mkdtempSync(join(tmpdir(), 'skiff-cp-'))];
  writeFileSync(join(there, 'file'), 'content\n');
  const cp = new k8s.Cp(config);
  await cp.cpToPod(namespace, 'web', 'main', there, '/tmp');
  await eventually('the file there', async () => (await run(['cat', '/tmp/file'])).out === 'content\n');
  // The client extracts what it asks tar to compress: give it a tar that does not.
  const exec = new k8s.Exec(config);
  const plain = { exec: (space, pod, container, command, ...rest) =>
    exec.exec(space, pod, container, command.map((word) => (word === 'zcf' ? 'cf' : word)), ...rest) };
  await new k8s.Cp(config, plain).cpFromPod(namespace, 'web', 'main', 'file', back, '/tmp');
  await eventually('the file back', () => {
    try {
      return readFileSync(join(back, 'file'), 'utf8') === 'content\n';
    } catch {
      return false;
    }
  });
});

test('objects of any kind', limit, async () => {
  const any = k8s.KubernetesObjectApi.makeApiClient(config);
  const deployment = {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'any', namespace },
    spec: { replicas: 0, selector: { matchLabels: { app: 'any' } },
      template: { metadata: { labels: { app: 'any' } }, spec: { containers: [{ name: 'c', image: 'i' }] } } },
  };
  const made = await any.create(deployment);
  assert.equal(made.spec.strategy.type, 'RollingUpdate');
  await any.patch({ ...deployment, metadata: { name: 'any', namespace, labels: { l: 'v' } } });
  assert.equal((await any.read(deployment)).metadata.labels.l, 'v');
  await any.delete(deployment);
  await eventually('it is gone', () => any.read(deployment).then(() => false, (problem) => problem.code === 404));
});

test('an election by lease', limit, async () => {
  const leases = config.makeApiClient(k8s.CoordinationV1Api);
  const spec = (holder) => ({ holderIdentity: holder, leaseDurationSeconds: 15, renewTime: new k8s.V1MicroTime() });
  const made = await leases.createNamespacedLease({ namespace, body: { metadata: { name: 'leader' }, spec: spec('a') } });
  const candidates = ['b', 'c', 'd', 'e'].map((holder) =>
    leases.replaceNamespacedLease({ name: 'leader', namespace, body: { ...made, spec: spec(holder) } }));
  const outcomes = await Promise.allSettled(candidates);
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 1);
  assert.ok(outcomes.every((outcome) => outcome.status === 'fulfilled' || outcome.reason.code === 409));
});
