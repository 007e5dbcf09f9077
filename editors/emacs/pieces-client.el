;;; pieces-client.el --- The connection to pieces-lsp  -*- lexical-binding: t -*-

;; SPDX-License-Identifier: MIT OR Apache-2.0

;;; Commentary:

;; One process of pieces-lsp for this Emacs, started by the first command, and
;; what is told to it and by it.

;;; Code:

(require 'cl-lib)
(require 'jsonrpc)
(require 'seq)
(require 'subr-x)
(require 'url-util)

;; In the files that need this one.
(autoload 'pieces--show "pieces")
(autoload 'pieces--refresh-soon "pieces")
(autoload 'pieces--told "pieces-ask")

(defgroup pieces nil
  "Conversations with Pieces."
  :group 'tools
  :prefix "pieces-")

(defcustom pieces-program '("pieces-lsp")
  "The server and its arguments."
  :type '(repeat string))

(defcustom pieces-settings nil
  "Settings of the server, a plist such as (:backend \"local\")."
  :type 'plist)

(defconst pieces--link "pieces-conversation:/+\\([0-9a-fA-F-]\\{36\\}\\)"
  "Matches the link of a conversation.")

;;;; The server

(defvar pieces--connection nil "The running server.")
(defvar pieces--status nil "What the server said of itself last.")
(defvar pieces--answers (make-hash-table :test #'equal)
  "Which answers are being written: a status by conversation.")
(defvar pieces--asking nil
  "Questions under way, oldest first: targets, see `pieces--target'.")

(defun pieces--server ()
  "The server, started where it is not running."
  (unless (and pieces--connection (jsonrpc-running-p pieces--connection))
    (unless (executable-find (car pieces-program))
      (user-error "`%s' was not found; install it, or set `pieces-program'" (car pieces-program)))
    (clrhash pieces--answers)
    (setq pieces--status nil pieces--asking nil
          pieces--connection (pieces--start)))
  pieces--connection)

(defun pieces--start ()
  "Start the server; return it when it is initialized."
  (let ((server
          (make-instance
           'jsonrpc-process-connection
           :name "pieces"
           ;; Conversations are private: nothing is kept in a log.
           :events-buffer-config '(:size 0)
           :notification-dispatcher #'pieces--notified
           :request-dispatcher #'pieces--requested
           :process (lambda ()
                      (make-process :name "pieces" :command pieces-program :connection-type 'pipe
                                    :coding 'utf-8-emacs-unix :noquery t
                                    :stderr (get-buffer-create "*pieces stderr*")))))
        ready)
    (unwind-protect
        (progn
          (jsonrpc-request
           server :initialize
           `(:processId ,(emacs-pid) :rootUri nil
             :clientInfo (:name "Emacs pieces.el" :version ,emacs-version)
             :initializationOptions ,(append '(:liveUpdates t) pieces-settings)
             :capabilities (:general (:positionEncodings ["utf-8" "utf-16"])
                            :workspace (:textDocumentContent ,(make-hash-table))
                            :window (:showDocument (:support t)))))
          (jsonrpc-notify server :initialized (make-hash-table))
          (setq ready server))
      (unless ready (delete-process (jsonrpc--process server))))))

(defun pieces--quit ()
  "End the server before Emacs ends."
  (when (and pieces--connection (jsonrpc-running-p pieces--connection))
    (ignore-errors (jsonrpc-request pieces--connection :shutdown nil :timeout 3)
                   (jsonrpc-notify pieces--connection :exit nil))))

(add-hook 'kill-emacs-hook #'pieces--quit)

(defun pieces-command (command &optional argument)
  "Run COMMAND of the server with ARGUMENT, a plist; return its result."
  (let ((server (pieces--server)))
    (condition-case problem
        (jsonrpc-request server :workspace/executeCommand (pieces--call command argument))
      (jsonrpc-error
       (user-error "Pieces: %s" (alist-get 'jsonrpc-error-message (cdr problem)))))))

(defun pieces--call (command argument)
  "The parameters for COMMAND with ARGUMENT."
  (list :command command :arguments (if argument (vector argument) [])))

(defun pieces--settled ()
  "Wait until the server has found a service, or has given up."
  (pieces--server)
  (with-timeout (5)
    (while (not (member (plist-get (setq pieces--status (pieces-command "pieces.status")) :state)
                        '("live" "offline")))
      (accept-process-output nil 0.05)))
  (when (equal (plist-get pieces--status :state) "offline")
    (user-error "Pieces: %s" (or (plist-get pieces--status :error) "no service responds"))))

(defun pieces--notified (_server method params)
  "Handle the notification METHOD of the server with PARAMS."
  (pcase method
    ('pieces/didChangeStatus (setq pieces--status params))
    ('pieces/didChangeConversations
     (if (eq t (plist-get params :reset))
         (mapc #'pieces--refresh-soon (pieces--buffers))
       (seq-doseq (item (plist-get params :upserted))
         (pieces--refresh-soon (pieces--buffer (plist-get item :id))))))
    ('pieces/didAnswer (pieces--told params))
    ('window/showMessage (message "Pieces: %s" (plist-get params :message)))))

(defun pieces--requested (_server method params)
  "Answer the request METHOD of the server with PARAMS."
  (pcase method
    ('window/showDocument
     (let ((uri (plist-get params :uri)))
       (if (string-match pieces--link uri)
           (let ((id (match-string 1 uri)))
             (run-with-timer 0 nil #'pieces--show id)
             '(:success t))
         '(:success :json-false))))
    ('window/showMessageRequest
     (let* ((titles (mapcar (lambda (one) (plist-get one :title)) (plist-get params :actions)))
            (chosen (ignore-error quit
                      (let ((completion-ignore-case t))
                        (completing-read (format "%s (%s) " (plist-get params :message)
                                                 (string-join titles ", "))
                                         titles nil t)))))
       (and (member chosen titles) (list :title chosen))))
    ('workspace/textDocumentContent/refresh
     (when (string-match pieces--link (plist-get params :uri))
       (pieces--refresh-soon (pieces--buffer (match-string 1 (plist-get params :uri)))))
     nil)
    ('workspace/configuration
     (seq-into (seq-map (lambda (_) (or pieces-settings (make-hash-table)))
                        (plist-get params :items))
               'vector))
    (_ nil)))

;;;; Buffers and what they are about

(defun pieces--id (&optional buffer)
  "Return the conversation of BUFFER."
  (let ((name (buffer-local-value 'buffer-file-name (or buffer (current-buffer)))))
    (and name (string-match pieces--link name) (match-string 1 name))))

(defun pieces--buffers ()
  "List the buffers of conversations."
  (seq-filter #'pieces--id (buffer-list)))

(defun pieces--buffer (id)
  "Find the buffer of the conversation ID."
  (seq-find (lambda (buffer) (equal id (pieces--id buffer))) (buffer-list)))

(defun pieces--position (point)
  "POINT as a position of the protocol."
  (save-excursion
    (goto-char point)
    (list :line (1- (line-number-at-pos point t))
          :character (string-bytes (buffer-substring-no-properties (line-beginning-position) point)))))

(defun pieces--target ()
  "What a question from this buffer is about.
A plist: `:conversation', or `:uri' with `:range' where the region is
active; `:buffer' and `:label'."
  (let* ((id (pieces--id)) (file (or id buffer-file-name)) (region (use-region-p)))
    (list :conversation id
          :uri (and file (or (not id) region)
                    (if id buffer-file-name
                      (concat "file://" (url-hexify-string (expand-file-name file)
                                                           url-path-allowed-chars))))
          :range (and region (list :start (pieces--position (region-beginning))
                                   :end (pieces--position (region-end))))
          :buffer (current-buffer)
          :label (concat (if file (buffer-name) "something new")
                         (and region (pieces--lines (region-beginning) (region-end)))))))

(defun pieces--lines (begin end)
  "Name the lines from BEGIN to END."
  (let ((first (line-number-at-pos begin t))
        ;; An end at the beginning of a line leaves that line out.
        (last (line-number-at-pos (max begin (1- end)) t)))
    (if (= first last) (format ", line %d" first) (format ", lines %d–%d" first last))))

(defun pieces--about (target)
  "The part of TARGET that the server takes."
  (mapcan (lambda (key) (and-let* ((value (plist-get target key))) (list key value)))
          (list :conversation :question :uri :range)))

(defun pieces--open-document (target)
  "Let the server see the text of the buffer of TARGET as it is now.
Return a function that takes it away again."
  (let ((uri (plist-get target :uri)) (server (pieces--server)))
    (if (not (and uri (string-prefix-p "file:" uri)))
        #'ignore
      (with-current-buffer (plist-get target :buffer)
        (jsonrpc-notify
         server :textDocument/didOpen
         `(:textDocument (:uri ,uri :version 0
                          :languageId ,(string-remove-suffix
                                        "-ts" (string-remove-suffix "-mode" (symbol-name major-mode)))
                          :text ,(save-restriction
                                   (widen)
                                   (buffer-substring-no-properties (point-min) (point-max)))))))
      (lambda ()
        (when (jsonrpc-running-p server)
          (jsonrpc-notify server :textDocument/didClose `(:textDocument (:uri ,uri))))))))

(provide 'pieces-client)
;;; pieces-client.el ends here
