/**
 * Trainings and models on an MLflow tracking server.
 *
 * <h2>Following a training</h2>
 *
 * {@link io.calm.mlflow.MlflowListener} writes what it hears into a <em>spool</em>, a
 * local append-only file, and a thread of its own sends the spool to the server: at once
 * where the server answers, later where it does not. Nothing else is sent, so it makes no
 * difference whether the server was there all the time, came late, was restarted, or was
 * reached days later by {@link io.calm.mlflow.MlflowReplay}. The training's thread puts
 * records into a bounded queue and never waits.
 *
 * <p>
 * Sending the same spool twice adds nothing: runs are found again by their tags; of each
 * metric only steps after the server's last one are sent (which is also how a training
 * that goes on from an older checkpoint does not double its steps); a parameter that is
 * there already is left as it is, and one that has changed becomes the tag
 * {@code calm.changed.NAME}.
 *
 * <h2>The spool</h2>
 *
 * One file of JSON lines for each training or study, {@code TIME-KEY.jsonl}, in UTF-8.
 * Beside it, {@code TIME-KEY.files} holds the files that are to be sent (hard links where
 * the file system allows), and {@code TIME-KEY.lock} is locked by the process that writes
 * it. Times are milliseconds since 1970. Numbers that JSON lacks are the strings
 * {@code "NaN"}, {@code "Infinity"} and {@code "-Infinity"}. A line that cannot be read
 * is skipped; half of one, which a crash or a full disk leaves, is cut off. Only the
 * owner can read it, and each second it is brought to the disk. The {@code run} of a line
 * is the phase of the training, {@code autoencoder} or {@code language-model}, whose run
 * is nested in the training's, or empty for the training's own. The trainings of a
 * {@link io.calm.mlflow.MlflowStudy} share a file: {@code NAME/} is the run of one of
 * them, nested in the study's, and {@code NAME/autoencoder} that of its phase.
 *
 * <pre>
 * {"type":"training","version":1,"key":"…","time":…,"experiment":"…","experimentId":"…","name":"…","runId":"…","tags":{…}}
 * {"type":"start","run":"autoencoder","time":…,"directory":"…","params":{…},"dataset":"corpus","digest":"…"}
 * {"type":"metrics","run":"autoencoder","time":…,"step":1,"values":{"loss":5.5,"learning_rate":1.0E-4}}
 * {"type":"text","run":"language-model","time":…,"path":"samples/step-00000500.txt","text":"…"}
 * {"type":"artifact","run":"autoencoder","time":…,"file":"checkpoints/last","path":"checkpoints/last"}
 * {"type":"end","run":"autoencoder","time":…,"status":"FINISHED","tags":{}}
 * </pre>
 *
 * The first line is always that of the training: what begins otherwise is no spool and is
 * not touched. A file is deleted when all of it has reached the server and the training
 * is finished; that of an unfinished one stays, for it is how the same training, when it
 * goes on, finds its runs again. One that was killed before its first checkpoint does so
 * if it begins with the same settings and data.
 *
 * <h2>Models</h2>
 *
 * {@link io.calm.mlflow.MlflowRegistry} registers model directories as versions of a
 * registered model and fetches them by {@code models:/name@alias}.
 */
@NullMarked
package io.calm.mlflow;

import org.jspecify.annotations.NullMarked;
