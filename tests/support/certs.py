"""Certificates for tests, made with the openssl program: an authority and leaves that are good or bad in one way each."""
import os
import ssl
import subprocess


def _openssl(folder, *words):
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, folder, name="ca"):
        self.folder, self.name = str(folder), name
        os.makedirs(self.folder, exist_ok=True)
        self.file = os.path.join(self.folder, f"{name}.crt")
        _openssl(self.folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                 "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN=weir test {name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def context(self, leaf, san="DNS:localhost,IP:127.0.0.1", days="20", version=None):
        """A server context with a leaf for these names. days: negative for one that has expired."""
        with open(os.path.join(self.folder, f"{leaf}.ext"), "w", encoding="utf-8") as f:
            f.write(f"subjectAltName={san}\nextendedKeyUsage=serverAuth\n")
        _openssl(self.folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{leaf}.key",
                 "-out", f"{leaf}.csr", "-subj", f"/CN={leaf}")
        sign = ["x509", "-req", "-in", f"{leaf}.csr", "-CA", f"{self.name}.crt", "-CAkey", f"{self.name}.key", "-CAcreateserial",
                "-extfile", f"{leaf}.ext", "-out", f"{leaf}.crt"]
        try:
            _openssl(self.folder, *sign, "-days", days)
        except subprocess.CalledProcessError: # newer versions make no certificate that ends before it begins
            _openssl(self.folder, *sign, "-not_before", "20200101000000Z", "-not_after", "20200201000000Z")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(self.folder, f"{leaf}.crt"), os.path.join(self.folder, f"{leaf}.key"))
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def leaf(self, name, san="DNS:localhost,IP:127.0.0.1", dates=("20200101000000Z", "20990101000000Z"), key="ec", digest="sha256", own=False):
        """(certificate, key) files of a leaf with these dates; key: "ec" or an RSA size; own: signed by itself."""
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else ["-newkey", f"rsa:{key}"]
        path = os.path.join(self.folder, name)
        _openssl(self.folder, "req", *new, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        os.makedirs(f"{path}.db", exist_ok=True)
        open(f"{path}.db/index", "w").close()
        with open(f"{path}.cnf", "w", encoding="utf-8") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={path}.db/index\nnew_certs_dir={path}.db\nrand_serial=yes\nunique_subject=no\n"
                    f"policy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nextendedKeyUsage=serverAuth\n"
                    + (f"subjectAltName={san}\n" if san else ""))
        signer = ["-selfsign", "-keyfile", f"{name}.key"] if own else ["-cert", f"{self.name}.crt", "-keyfile", f"{self.name}.key"]
        _openssl(self.folder, "ca", "-batch", "-notext", "-config", f"{name}.cnf", *signer, "-in", f"{name}.csr", "-out", f"{name}.crt",
                 "-startdate", dates[0], "-enddate", dates[1], "-md", digest)
        return f"{path}.crt", f"{path}.key"


def server_context(files, oldest=None, newest=None, ciphers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers:
        context.set_ciphers(ciphers)
    context.load_cert_chain(*files)
    if oldest is not None:
        context.minimum_version = oldest
    if newest is not None:
        context.maximum_version = newest
    return context
